//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"
)

// For the race detector: everything at once.
func TestAThousandGoroutines(t *testing.T) {
	echo := func(request json.RawMessage) (any, error) { return request, nil }
	e := executor(t, Config{HostFunctions: map[string]HostFunction{"echo": echo}})
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := 0; i < 1000; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			run := ways(e)[[]string{"execute", "submit"}[i%2]]
			<-begin
			for turn := 0; turn < 3; turn++ {
				text := fmt.Sprintf(`{"goroutine":%d,"turn":%d}`, i, turn)
				output, err := run(context.Background(), Call{Runtime: "passthrough", Context: json.RawMessage(text)})
				if err != nil || !strings.Contains(string(output), text) {
					t.Errorf("%s: %s, %v", text, output, err)
				}
			}
			output, err := run(context.Background(), Call{Runtime: "echo"})
			if err != nil || !strings.Contains(string(output), `"from":"the guest"`) {
				t.Errorf("%d: %s, %v", i, output, err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
			if _, err := run(ctx, Call{Runtime: "loop"}); !errors.Is(err, context.Canceled) {
				t.Errorf("%d: %v", i, err)
			}
		}(i)
	}
	close(begin)
	all.Wait()
}

type node struct{ next *node }

// A variable, so that the compiler cannot know what is nil.
var nowhere *node

// faults panics with the error of a nil pointer, which Go makes of the same signal that stops guests.
func faults() (text string) {
	defer func() { text = recover().(runtime.Error).Error() }()
	nowhere = nowhere.next
	return ""
}

func dividesBy(zero int) (text string) {
	defer func() { text = recover().(runtime.Error).Error() }()
	return string(rune(1 / zero))
}

// The library's handlers come first, and pass on what is not a guest's: after each kind of trap, on its own thread and
// on others, Go's own faults are still panics that recover.
func TestPanicsRecoverAfterTraps(t *testing.T) {
	e := executor(t, Config{})
	traps := []string{"bounds", "division", "recursion", "unreachable"}
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for turn := 0; turn < 200; turn++ {
				if turn == 100 {
					// From here on it is one thread, on which guests and Go fault in turns.
					runtime.LockOSThread()
				}
				_, err := e.Execute(context.Background(), Call{Runtime: traps[turn%len(traps)]})
				if failure, ok := err.(*Error); !ok || failure.Code != "trap" {
					t.Errorf("no trap: %v", err)
				}
				if text := faults(); !strings.Contains(text, "nil pointer dereference") {
					t.Errorf("no nil pointer: %q", text)
				}
				if quotient := dividesBy(turn - turn); !strings.Contains(quotient, "integer divide by zero") {
					t.Errorf("no division by zero: %q", quotient)
				}
			}
		}()
	}
	all.Wait()
}

// While goroutines compute, Go interrupts their threads by signals, and moves stacks, also those below calls and
// callbacks.
func TestGuestsRunWhileGoInterruptsItsThreads(t *testing.T) {
	echo := func(request json.RawMessage) (any, error) {
		runtime.GC()
		return grown(1000) + len(request), nil
	}
	e := executor(t, Config{HostFunctions: map[string]HostFunction{"echo": echo}})
	wanted := fmt.Sprintf(`{"status":"ok","output":%d}`, grown(1000)+len(`{"from":"the guest"}`))
	stop := make(chan struct{})
	var spinning, all sync.WaitGroup
	spinning.Add(1)
	go func() {
		defer spinning.Done()
		for {
			select {
			case <-stop:
				return
			default:
				grown(10)
			}
		}
	}()
	for i := 0; i < 4; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for turn := 0; turn < 50; turn++ {
				for name, run := range ways(e) {
					output, err := run(context.Background(), Call{Runtime: "echo"})
					if err != nil || string(output) != wanted {
						t.Errorf("%s: %s, %v", name, output, err)
					}
				}
			}
		}()
	}
	all.Wait()
	close(stop)
	spinning.Wait()
}

// grown takes about 1 KiB of stack for each of n.
func grown(n int) int {
	var room [128]int
	room[n%len(room)] = n
	if n == 0 {
		return room[0]
	}
	return grown(n-1) + room[n%len(room)]
}

// Profiling interrupts threads by signals wherever they are, also within guests.
func TestGuestsRunWhileGoProfiles(t *testing.T) {
	e := executor(t, Config{})
	must(t, pprof.StartCPUProfile(io.Discard))
	defer pprof.StopCPUProfile()
	for turn := 0; turn < 5; turn++ {
		for _, run := range ways(e) {
			_, err := run(context.Background(), Call{Runtime: "loop", Limits: Limits{TimeoutMS: 50}})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			_, err = run(context.Background(), Call{Runtime: "bounds"})
			wants(t, err, "trap")
			if text := faults(); !strings.Contains(text, "nil pointer dereference") {
				t.Errorf("no nil pointer: %q", text)
			}
		}
	}
}

func TestProcessesAreStartedAsEver(t *testing.T) {
	e := executor(t, Config{})
	_, err := e.Execute(context.Background(), Call{Runtime: "passthrough"})
	must(t, err)
	printed, err := exec.Command("echo", "hello").Output()
	if must(t, err); string(printed) != "hello\n" {
		t.Errorf("%s", printed)
	}
}
