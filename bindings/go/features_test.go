//go:build cgo

package arawn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// It runs before any other test makes an executor: the options are those of the process.
func TestMain(m *testing.M) {
	handlers := true
	options, err := Configure(Options{PoolSlots: 100, SignalHandlers: &handlers})
	if err != nil || options.PoolSlots != 100 || options.Workers == 0 || options.Target != "native" {
		panic(err)
	}
	if _, err := Configure(Options{Workers: -1}); err == nil {
		panic("-1 workers")
	}
	os.Exit(m.Run())
}

func TestOptionsAreSetBeforeTheFirstExecutor(t *testing.T) {
	e, err := New(Config{NoDiskCache: true})
	must(t, err)
	defer e.Close()
	_, err = Configure(Options{Workers: 3})
	wants(t, err, "invalid_config")
	figures, err := Into[struct {
		Engine struct {
			PoolSlots int `json:"pool_slots"`
		}
		Executor struct{ Executor string }
	}](e.Stats())
	if must(t, err); figures.Engine.PoolSlots != 100 || figures.Executor.Executor != e.ID() {
		t.Error(figures)
	}
}

func TestMetaTellsWhatACallTook(t *testing.T) {
	e := executor(t, Config{})
	for name, run := range ways(e) {
		var meta Meta
		output, err := run(context.Background(), Call{Runtime: "writes", Meta: &meta})
		must(t, err)
		if string(output) != "1" || meta.Runtime != "writes" || len(meta.ModuleSHA256) != 64 || meta.Fuel != nil ||
			meta.TotalUS != meta.LoadUS+meta.QueueUS+meta.RunUS || meta.MemoryBytes == 0 ||
			meta.Stderr != "first\nlast" {
			t.Errorf("%s: %s %+v", name, output, meta)
		}
		_, err = run(context.Background(), Call{Runtime: "fails", Meta: &meta})
		wants(t, err, "runtime_error")
	}
}

func TestOutputsHaveTypes(t *testing.T) {
	e := executor(t, Config{})
	type point struct{ X, Y int }
	type echo struct{ Config, Context point }
	call := Call{Runtime: "passthrough", Config: point{1, 2}, Context: point{3, 4}}
	output, err := Into[echo](e.Execute(context.Background(), call))
	if must(t, err); output != (echo{point{1, 2}, point{3, 4}}) {
		t.Error(output)
	}
	if _, err := Into[[]int](e.Execute(context.Background(), call)); err == nil || errors.As(err, new(*Error)) {
		t.Error("an object is no list:", err)
	}
	_, err = Into[echo](e.Execute(context.Background(), Call{Runtime: "fails"}))
	wants(t, err, "runtime_error")
}

func TestWhatIsNotOneValueIsRefused(t *testing.T) {
	e := executor(t, Config{})
	for _, raw := range []string{"", "{", "1,2", `{},"context":1`, "1 2", "\x00"} {
		for name, run := range ways(e) {
			_, err := run(context.Background(), Call{Runtime: "passthrough", Config: json.RawMessage(raw)})
			if err == nil || errors.As(err, new(*Error)) {
				t.Errorf("%s: %q: %v", name, raw, err)
			}
		}
	}
	output, err := e.Execute(context.Background(), Call{Runtime: "passthrough", Config: json.RawMessage(nil),
		Context: "\"\\\n\x7fé\xff"})
	must(t, err)
	if string(output) != `{"config":null,"context":"\"\\\n`+"\x7fé"+`\ufffd"}` {
		t.Errorf("%s", output)
	}
	// A reply of more bytes than the buffer has, and of as many.
	for _, length := range []int{4000, 4025, 4026, 4027, 4028, 4029, 100_000} {
		long := strings.Repeat("x", length)
		output, err := e.Execute(context.Background(), Call{Runtime: "passthrough", Context: long})
		if must(t, err); string(output) != `{"config":{},"context":"`+long+`"}` {
			t.Errorf("%d: %d", length, len(output))
		}
	}
}

func TestACallIsCancelledByItsName(t *testing.T) {
	e := executor(t, Config{})
	wants(t, e.Cancel("level-7"), "unknown_job")
	job, err := e.Submit(context.Background(), Call{Runtime: "loop", Job: "level-7"})
	must(t, err)
	if job.Name() != "level-7" {
		t.Error(job.Name())
	}
	_, err = e.Submit(context.Background(), Call{Runtime: "loop", Job: "level-7"})
	wants(t, err, "job_exists")
	must(t, e.Cancel("level-7"))
	_, err = job.Result()
	wants(t, err, "cancelled")
	// A call that is not submitted has a name as well.
	ended := make(chan error)
	go func() {
		_, err := e.Execute(context.Background(), Call{Runtime: "loop", Job: "level-8"})
		ended <- err
	}()
	for e.Cancel("level-8") != nil {
		time.Sleep(time.Millisecond)
	}
	wants(t, <-ended, "cancelled")
}

func TestTheCatalogIsListedAndInspected(t *testing.T) {
	module, err := os.ReadFile(guests(t) + "/custom/fails.wasm")
	must(t, err)
	e, err := New(Config{RuntimesDir: t.TempDir(), NoDiskCache: true, Limits: Limits{TimeoutMS: 300_000}})
	must(t, err)
	defer e.Close()
	ctx := context.Background()
	shown, err := e.Register(ctx, Registration{Name: "bytes", Wasm: module, Description: "from bytes"})
	must(t, err)
	if shown.Name != "bytes" || shown.Kind != "module" || shown.Bytes != int64(len(module)) || shown.Pin != shown.SHA256 {
		t.Errorf("%+v", shown)
	}
	_, err = e.Execute(ctx, Call{Runtime: "bytes"})
	wants(t, err, "runtime_error")
	other, err := e.Register(ctx, Registration{Name: "other", ModuleOf: "bytes", Args: []string{"-v"}})
	if must(t, err); other.SHA256 != shown.SHA256 || len(other.Args) != 1 {
		t.Errorf("%+v", other)
	}
	list, err := e.List()
	must(t, err)
	found := map[string]Runtime{}
	for _, runtime := range list {
		found[runtime.Name] = runtime
	}
	if found["bytes"].Description != "from bytes" || found["passthrough"].Category != "builtin" {
		t.Errorf("%+v", list)
	}
	again, err := e.Inspect("bytes")
	if must(t, err); again.SHA256 != shown.SHA256 || again.Problem != nil || again.Path == "" {
		t.Errorf("%+v", again)
	}
	_, err = e.Inspect("nothing")
	wants(t, err, "unknown_runtime")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err = e.Register(cancelled, Registration{Name: "never", Wasm: module}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, err = e.Register(ctx, Registration{Name: "text", Wasm: []byte("no module")})
	wants(t, err, "module_invalid")
}

func TestAFunctionIsReplacedAndUnset(t *testing.T) {
	say := func(word string) HostFunction {
		return func(json.RawMessage) (any, error) { return word, nil }
	}
	e := executor(t, Config{HostFunctions: map[string]HostFunction{"echo": say("first")}})
	wantsAnswer := func(wanted string) {
		t.Helper()
		output, err := e.Execute(context.Background(), Call{Runtime: "echo"})
		if must(t, err); !strings.Contains(string(output), wanted) {
			t.Errorf("%s, not %s", output, wanted)
		}
	}
	wantsAnswer("first")
	must(t, e.SetHostFunction("echo", say("second")))
	wantsAnswer("second")
	must(t, e.SetHostFunction("echo", nil))
	wantsAnswer("host_function_failed")
	wants(t, e.SetHostFunction("not.granted", say("never")), "invalid_request")
	must(t, e.SetHostFunction("arawn.log", say("not looked at")))
}

// What is not locked here the race detector would find.
func TestPollFunctionsRunInOneGoroutine(t *testing.T) {
	asked := map[string]int{}
	var e *Executor
	e = executor(t, Config{PollFunctions: map[string]HostFunction{
		"echo": func(request json.RawMessage) (any, error) {
			asked[string(request)]++
			return len(asked), nil
		},
		"call":  func(json.RawMessage) (any, error) { return nil, e.Close() },
		"panic": func(json.RawMessage) (any, error) { return nowhere.next, nil },
	}})
	ended := make(chan error)
	const guests = 50
	for i := 0; i < guests; i++ {
		run := ways(e)[[]string{"execute", "submit"}[i%2]]
		go func() {
			_, err := run(context.Background(), Call{Runtime: "echo"})
			ended <- err
		}()
	}
	for i := 0; i < guests; i++ {
		must(t, <-ended)
	}
	output, err := e.Execute(context.Background(), Call{Runtime: "panic"})
	if must(t, err); !strings.Contains(string(output), "nil pointer dereference") {
		t.Errorf("%s", output)
	}
	// One closes its own executor, within the goroutine that closing waits for otherwise.
	job, err := e.Submit(context.Background(), Call{Runtime: "call"})
	must(t, err)
	_, err = job.Result()
	wants(t, err, "unknown_executor")
	must(t, e.Close())
	if asked[`{"from":"the guest"}`] != guests {
		t.Error(asked)
	}
}

func TestDeferredFunctionsWait(t *testing.T) {
	answers := make(chan string)
	arrived := make(chan bool, 100)
	var e *Executor
	e = executor(t, Config{DeferredFunctions: map[string]DeferredFunction{
		"echo": func(ctx context.Context, request json.RawMessage) (any, error) {
			arrived <- true
			select {
			case answer := <-answers:
				return map[string]any{"asked": request, "answer": answer}, nil
			case <-ctx.Done():
				arrived <- false
				return nil, ctx.Err()
			}
		},
		"error": func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("no luck") },
		"panic": func(context.Context, json.RawMessage) (any, error) { return nowhere.next, nil },
		"call": func(ctx context.Context, _ json.RawMessage) (any, error) {
			job, err := e.Submit(ctx, Call{Runtime: "passthrough", Context: "within"})
			if err != nil {
				return nil, err
			}
			return job.Result()
		},
	}})
	// More guests wait than there are workers.
	var jobs []*Job
	for i := 0; i < 20; i++ {
		job, err := e.Submit(context.Background(), Call{Runtime: "echo"})
		must(t, err)
		jobs = append(jobs, job)
	}
	for range jobs {
		<-arrived
	}
	for range jobs {
		answers <- "later"
	}
	for _, job := range jobs {
		output, err := job.Result()
		must(t, err)
		if !strings.Contains(string(output), `"output":{"answer":"later","asked":{"from":"the guest"}}`) {
			t.Errorf("%s", output)
		}
	}
	for name, run := range ways(e) {
		for guest, wanted := range map[string]string{
			"error": `"error":"no luck"`, "panic": "nil pointer dereference",
			"call": `"output":{"config":{},"context":"within"}`,
		} {
			output, err := run(context.Background(), Call{Runtime: guest})
			if must(t, err); !strings.Contains(string(output), wanted) {
				t.Errorf("%s: %s: %s", name, guest, output)
			}
		}
	}
	// The guest has a deadline, and the function is told when the executor has gone.
	_, err := e.Execute(context.Background(), Call{Runtime: "echo", Limits: Limits{TimeoutMS: 50}})
	wants(t, err, "timeout")
	<-arrived
	must(t, e.Close())
	if <-arrived {
		t.Error("the context goes on")
	}
}

func TestTheNameOfAFunctionIsThereOnce(t *testing.T) {
	f := func(json.RawMessage) (any, error) { return 1, nil }
	later := func(context.Context, json.RawMessage) (any, error) { return 1, nil }
	_, err := New(Config{
		HostFunctions:     map[string]HostFunction{"f": f},
		DeferredFunctions: map[string]DeferredFunction{"f": later},
	})
	if err == nil || !strings.Contains(err.Error(), `"f" is there twice`) {
		t.Error(err)
	}
}

func BenchmarkExecute(b *testing.B) {
	e, err := New(Config{NoDiskCache: true})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	call := Call{Runtime: "passthrough", Context: map[string]string{"greeting": "hello"}}
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		output, err := e.Execute(context.Background(), call)
		if err != nil || !bytes.HasPrefix(output, []byte("{")) {
			b.Fatal(err)
		}
	}
}
