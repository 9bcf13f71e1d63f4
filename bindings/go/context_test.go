//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestADeadlineEndsACall(t *testing.T) {
	e := executor(t, Config{Limits: Limits{TimeoutMS: 60_000}})
	for name, run := range ways(e) {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		_, err := run(ctx, Call{Runtime: "loop"})
		took := time.Since(begun)
		if cancel(); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if took < 30*time.Millisecond || took > 30*time.Second {
			t.Errorf("%s: %v", name, took)
		}

		// The sooner of two counts, and one later than the executor's is no error.
		ctx, cancel = context.WithTimeout(context.Background(), time.Hour)
		_, err = run(ctx, Call{Runtime: "loop", Limits: Limits{TimeoutMS: 20}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = run(ctx, Call{Runtime: "passthrough"})
		must(t, err)
		cancel()

		ctx, cancel = context.WithTimeout(context.Background(), -time.Second)
		if _, err = run(ctx, Call{Runtime: "loop"}); err != context.DeadlineExceeded {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

func TestWhatIsADeadline(t *testing.T) {
	for failure, is := range map[*Error]bool{
		{Code: "timeout", Details: []byte(`{"phase":"run","timeout_ms":30}`)}:         true,
		{Code: "overloaded", Details: []byte(`{"timeout_ms":30,"pool_slots":128}`)}:   true,
		{Code: "overloaded", Details: []byte(`{"queue":1024}`)}:                       false,
		{Code: "trap", Details: []byte(`{"trap":"unreachable code","backtrace":[]}`)}: false,
	} {
		if errors.Is(failure, context.DeadlineExceeded) != is || errors.Is(failure, context.Canceled) {
			t.Errorf("%v: %s", failure, failure.Details)
		}
	}
}

func TestACallIsCancelledWithItsContext(t *testing.T) {
	var giveUp func()
	f := func(json.RawMessage) (any, error) {
		giveUp()
		return 0, nil
	}
	e := executor(t, Config{HostFunctions: map[string]HostFunction{"f": f}})
	for name, run := range ways(e) {
		// Before a call, at its beginning, and within it.
		for _, after := range []time.Duration{-1, 0, 100 * time.Microsecond, 20 * time.Millisecond} {
			ctx, cancel := context.WithCancel(context.Background())
			if after < 0 {
				cancel()
			} else {
				time.AfterFunc(after, cancel)
			}
			if _, err := run(ctx, Call{Runtime: "loop"}); !errors.Is(err, context.Canceled) {
				t.Errorf("%s, after %s: %v", name, after, err)
			}
		}
		// Surely within it: by a function that the guest calls before it loops.
		ctx, cancel := context.WithCancel(context.Background())
		giveUp = cancel
		_, err := run(ctx, Call{Runtime: "ask-and-loop"})
		if wants(t, err, "cancelled"); !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAJobIsCancelled(t *testing.T) {
	e := executor(t, Config{})
	job, err := e.Submit(context.Background(), Call{Runtime: "loop"})
	must(t, err)
	select {
	case <-job.Done():
		t.Error("it has no end")
	case <-time.After(20 * time.Millisecond):
	}
	job.Cancel()
	<-job.Done()
	_, err = job.Result()
	wants(t, err, "cancelled")
	job.Cancel()
}
