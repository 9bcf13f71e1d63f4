//go:build cgo

// The tests are linked to the library, so `go test` takes one that pkg-config finds, or -tags arawn_bundled in a released
// module. In libarawn's repository `cargo test --test go` builds the library and runs all of them, also those that take a
// catalog of guests, which skip without it.

package arawn

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// guests is the catalog that tests/languages/go.rs makes.
func guests(t *testing.T) string {
	t.Helper()
	directory := os.Getenv("ARAWN_RUNTIMES")
	if directory == "" {
		t.Skip("ARAWN_RUNTIMES names no catalog of guests: libarawn's repository makes one, by cargo test --test go")
	}
	return directory
}

// executor serves the catalog of guests that tests/languages/go.rs makes, with a deadline for a busy machine.
func executor(t *testing.T, config Config) *Executor {
	t.Helper()
	config.RuntimesDir = guests(t)
	config.NoDiskCache = true
	if config.Limits.TimeoutMS == 0 {
		config.Limits.TimeoutMS = 300_000
	}
	e, err := New(config)
	must(t, err)
	t.Cleanup(func() { e.Close() })
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants fails the test unless the error is the library's with that code.
func wants(t *testing.T, err error, code string) *Error {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != code || failure.Text == "" || !json.Valid(failure.Details) {
		t.Fatalf("wanted %s, got %v", code, err)
	}
	return failure
}

func TestReload(t *testing.T) {
	for _, reload := range []struct {
		reload Reload
		json   string
	}{{Reload{}, "null"}, {ReloadAlways, `"always"`}, {ReloadNever, `"never"`}, {ReloadWithinMS(20), `{"within_ms":20}`}} {
		config := Config{Reload: reload.reload}
		request, err := config.request()
		must(t, err)
		written, err := json.Marshal(request["reload"])
		must(t, err)
		if string(written) != reload.json {
			t.Errorf("wanted %s, got %s", reload.json, written)
		}
		_, err = executor(t, config).Execute(context.Background(), Call{Runtime: "passthrough"})
		must(t, err)
	}
	_, err := New(Config{NoDiskCache: true, Reload: ReloadWithinMS(0)})
	wants(t, err, "invalid_config")
}

func register(e *Executor, registration Registration) error {
	_, err := e.Register(context.Background(), registration)
	return err
}

type way = func(context.Context, Call) (json.RawMessage, error)

// ways are the two ways to make a call.
func ways(e *Executor) map[string]way {
	submit := func(ctx context.Context, call Call) (json.RawMessage, error) {
		job, err := e.Submit(ctx, call)
		if err != nil {
			return nil, err
		}
		return job.Result()
	}
	return map[string]way{"execute": e.Execute, "submit": submit}
}

func TestCallsReachTheirRuntimeAndBack(t *testing.T) {
	e := executor(t, Config{ID: "named"})
	if e.ID() != "named" || Version() == "" {
		t.Fatal(e.ID(), Version())
	}
	// A number that has more digits than a float64, and what Go's encoder would escape.
	document := `{"n":9007199254740993,"text":"<a & b>   ` + "\u2028" + `😀"}`
	for name, run := range ways(e) {
		output, err := run(context.Background(), Call{Runtime: "passthrough", Context: json.RawMessage(document)})
		must(t, err)
		if string(output) != `{"config":{},"context":`+document+`}` {
			t.Errorf("%s: %s", name, output)
		}
	}
	_, err := e.Execute(context.Background(), Call{Runtime: "passthrough", Config: func() {}})
	if err == nil || errors.As(err, new(*Error)) {
		t.Error("a function is not JSON:", err)
	}
	for name, run := range ways(e) {
		for field, call := range map[string]Call{
			"Config":  {Runtime: "passthrough", Config: []byte(document)},
			"Context": {Runtime: "passthrough", Context: []byte(document)},
		} {
			_, err := run(context.Background(), call)
			if err == nil || !strings.Contains(err.Error(), field+" is a []byte: pass json.RawMessage") {
				t.Errorf("%s: %s: %v", name, field, err)
			}
		}
	}
	_, err = New(Config{HostFunctions: map[string]HostFunction{"f": nil}})
	if err == nil || !strings.Contains(err.Error(), `host function "f" is nil`) {
		t.Error(err)
	}
	figures, err := Stats()
	if must(t, err); !strings.Contains(string(figures), `"executors":`) {
		t.Errorf("%s", figures)
	}
}

func TestErrorsHaveACodeAndDetails(t *testing.T) {
	e := executor(t, Config{})
	for name, run := range ways(e) {
		_, err := run(context.Background(), Call{Runtime: "transfrom"})
		failure := wants(t, err, "unknown_runtime")
		var details struct{ Near []string }
		must(t, json.Unmarshal(failure.Details, &details))
		if len(details.Near) != 1 || details.Near[0] != "transform" || !strings.Contains(err.Error(), failure.Text) {
			t.Errorf("%s: %s: %s", name, failure, failure.Details)
		}
		_, err = run(context.Background(), Call{Runtime: "fails"})
		if failure := wants(t, err, "runtime_error"); failure.Text != "no luck" {
			t.Errorf("%s: %v", name, failure)
		}
		_, err = run(context.Background(), Call{Runtime: "unreachable"})
		if wants(t, err, "trap"); errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := New(Config{Limits: Limits{TimeoutMS: -1}})
	wants(t, err, "invalid_config")
	_, err = New(Config{ID: e.ID()})
	wants(t, err, "executor_exists")
}

func TestARuntimeIsRegisteredAndRemoved(t *testing.T) {
	path := guests(t) + "/custom/fails.wasm"
	directory := t.TempDir()
	e, err := New(Config{RuntimesDir: directory, NoDiskCache: true, Limits: Limits{TimeoutMS: 300_000}})
	must(t, err)
	defer e.Close()
	schema := map[string]any{"type": "object", "required": []string{"luck"}}
	must(t, register(e, Registration{Name: "r", Path: path, ConfigSchema: schema}))
	wants(t, register(e, Registration{Name: "r", Path: path}), "runtime_exists")
	_, err = e.Execute(context.Background(), Call{Runtime: "r"})
	wants(t, err, "invalid_request")
	must(t, register(e, Registration{Name: "r", Path: path, Replace: true}))
	_, err = e.Execute(context.Background(), Call{Runtime: "r"})
	wants(t, err, "runtime_error")
	must(t, e.Remove("r"))
	job, err := e.SubmitRegistration(context.Background(), Registration{Name: "r", Path: path, TimeoutMS: 300_000})
	must(t, err)
	shown, err := job.Result()
	must(t, err)
	if !strings.Contains(string(shown), `"name":"r"`) {
		t.Errorf("the result is %s", shown)
	}
	soon, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	job, err = e.SubmitRegistration(soon, Registration{Name: "r", Path: path})
	must(t, err)
	_, err = job.Result()
	wants(t, err, "runtime_exists")
	_, err = e.SubmitRegistration(context.Background(), Registration{Name: "r", Path: path, TimeoutMS: -1})
	wants(t, err, "invalid_request")
	must(t, e.Remove("r"))
	_, err = e.Execute(context.Background(), Call{Runtime: "r"})
	wants(t, err, "unknown_runtime")
}

func TestAScriptIsRegistered(t *testing.T) {
	ctx := context.Background()
	e, err := New(Config{RuntimesDir: t.TempDir(), NoDiskCache: true, Limits: Limits{TimeoutMS: 300_000}})
	must(t, err)
	defer e.Close()
	script := Registration{Name: "twice", Language: Lua, Replace: true}
	script.Script = "return function(input) return input.context.n * 2 end"
	must(t, register(e, script))
	output, err := e.Execute(ctx, Call{Runtime: "twice", Context: map[string]int{"n": 21}})
	if must(t, err); string(output) != "42" {
		t.Errorf("the output is %s", output)
	}
	script.Script = "return\n  function("
	failure := wants(t, register(e, script), "script_invalid")
	var place struct {
		File string
		Line int
	}
	if must(t, json.Unmarshal(failure.Details, &place)); place.File != "twice.lua" || place.Line != 2 {
		t.Errorf("%s", failure.Details)
	}
	script.Script, script.Language = "export default () => 'new'", JavaScript
	job, err := e.SubmitRegistration(ctx, script)
	must(t, err)
	_, err = job.Result()
	must(t, err)
	output, err = e.Execute(ctx, Call{Runtime: "twice"})
	if must(t, err); string(output) != `"new"` {
		t.Errorf("the output is %s", output)
	}
	// The name of a file tells its language.
	path := t.TempDir() + "/file.mjs"
	must(t, os.WriteFile(path, []byte("export default () => 7"), 0o600))
	must(t, register(e, Registration{Name: "file", Path: path}))
	output, err = e.Execute(ctx, Call{Runtime: "file"})
	if must(t, err); string(output) != "7" {
		t.Errorf("the output is %s", output)
	}
	wants(t, register(e, Registration{Name: "none"}), "invalid_request")
}

func TestCloseEndsWhatWasSubmitted(t *testing.T) {
	e := executor(t, Config{ID: "again"})
	var jobs []*Job
	for i := 0; i < 20; i++ {
		job, err := e.Submit(context.Background(), Call{Runtime: "loop", Limits: Limits{TimeoutMS: 20_000}})
		must(t, err)
		jobs = append(jobs, job)
	}
	for _, job := range jobs {
		job.Cancel()
	}
	must(t, e.Close())
	for _, job := range jobs {
		_, err := job.Result()
		var failure *Error
		if !errors.As(err, &failure) || failure.Code != "cancelled" && failure.Code != "unknown_executor" {
			t.Error(err)
		}
	}
	must(t, e.Close())

	// Its name is free, and whoever has the closed one does not reach the new one by it.
	again := executor(t, Config{ID: "again"})
	uses := []func() error{
		func() error { return register(e, Registration{Name: "r", Path: guests(t) + "/custom/fails.wasm"}) },
		func() error { return e.Remove("fails") },
	}
	for _, run := range ways(e) {
		run := run
		uses = append(uses, func() error {
			_, err := run(context.Background(), Call{Runtime: "passthrough"})
			return err
		})
	}
	for _, use := range uses {
		failure := wants(t, use(), "unknown_executor")
		if failure.Text != `the executor "again" is closed` || string(failure.Details) != `{"executor":"again"}` {
			t.Error(failure, string(failure.Details))
		}
	}
	_, err := again.Execute(context.Background(), Call{Runtime: "fails"})
	wants(t, err, "runtime_error")
}

func TestAnExecutorThatNobodyHasIsClosed(t *testing.T) {
	f := func(json.RawMessage) (any, error) { return 1, nil }
	config := Config{ID: "dropped", NoDiskCache: true, HostFunctions: map[string]HostFunction{"f": f}}
	dropped, err := New(config)
	must(t, err)
	// It is not closed before the call has ended, though nobody else has it.
	job, err := dropped.Submit(context.Background(), Call{Runtime: "passthrough"})
	must(t, err)
	dropped = nil
	runtime.GC()
	_, err = job.Result()
	must(t, err)
	job = nil
	for i := 0; i < 1000; i++ {
		runtime.GC()
		if e, err := New(config); err == nil {
			must(t, e.Close())
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it is still there")
}
