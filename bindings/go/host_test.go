//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// The guests ask a function each, by their own name, and answer with the reply that they get.
func TestGuestsCallFunctionsOfThisProgram(t *testing.T) {
	var e *Executor
	e = executor(t, Config{HostFunctions: map[string]HostFunction{
		"echo":     func(request json.RawMessage) (any, error) { return request, nil },
		"error":    func(json.RawMessage) (any, error) { return nil, errors.New("no <such> \"thing\"") },
		"panic":    func(json.RawMessage) (any, error) { return nowhere.next, nil },
		"function": func(json.RawMessage) (any, error) { return func() {}, nil },
		"call": func(json.RawMessage) (any, error) {
			return e.Execute(context.Background(), Call{Runtime: "passthrough", Context: "within"})
		},
	}})
	for name, run := range ways(e) {
		for guest, wanted := range map[string]string{
			"echo":     `"output":{"from":"the guest"}`,
			"error":    `"error":"no <such> \"thing\""`,
			"panic":    `nil pointer dereference`,
			"function": `unsupported type`,
			"call":     `"output":{"config":{},"context":"within"}`,
			"missing":  `"code":"host_function_failed"`,
		} {
			output, err := run(context.Background(), Call{Runtime: guest})
			must(t, err)
			if !strings.Contains(string(output), wanted) {
				t.Errorf("%s: %s: %s", name, guest, output)
			}
		}
	}
}

func TestAFunctionIsToldTheLinesOfStderr(t *testing.T) {
	told := make(chan string, 9)
	e := executor(t, Config{StderrTo: "log", HostFunctions: map[string]HostFunction{
		"log": func(line json.RawMessage) (any, error) {
			told <- string(line)
			return nil, nil
		},
	}})
	_, err := e.Execute(context.Background(), Call{Runtime: "writes"})
	must(t, err)
	for _, line := range []string{"first", "last"} {
		var message struct{ Runtime, Line string }
		must(t, json.Unmarshal([]byte(<-told), &message))
		if message.Runtime != "writes" || message.Line != line {
			t.Errorf("%v, not %s", message, line)
		}
	}
	_, err = New(Config{StderrTo: "log"})
	wants(t, err, "invalid_config")
}

func TestAFunctionMayCloseItsExecutor(t *testing.T) {
	var e *Executor
	e = executor(t, Config{HostFunctions: map[string]HostFunction{
		"echo": func(json.RawMessage) (any, error) { return nil, e.Close() },
	}})
	output, err := e.Execute(context.Background(), Call{Runtime: "echo"})
	must(t, err)
	if string(output) != `{"status":"ok","output":null}` {
		t.Errorf("%s", output)
	}
	_, err = e.Execute(context.Background(), Call{Runtime: "echo"})
	wants(t, err, "unknown_executor")
}
