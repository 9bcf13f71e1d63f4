package arawn

import (
	"context"
	"runtime"
)

// Language is the language of a script.
type Language string

// The languages of scripts.
const (
	JavaScript Language = "javascript"
	Lua        Language = "lua"
)

// Registration is a runtime for [Executor.Register] and [Executor.SubmitRegistration]. It has a Path or a Script.
type Registration struct {
	Name string `json:"name"`
	// Path of the .wasm file or of the script's file, which is copied into the catalog.
	Path string `json:"path,omitempty"`
	// Script is the text of a script. One that does not parse is "script_invalid", with line and column in the details.
	Script string `json:"script,omitempty"`
	// Language of Script, or of the script at Path; "" where the name of that file ends in .js, .mjs or .lua.
	Language    Language `json:"language,omitempty"`
	Description string   `json:"description,omitempty"`
	// ConfigSchema is a JSON Schema that the config of each call must fit.
	ConfigSchema any               `json:"config_schema,omitempty"`
	Args         []string          `json:"args,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	// Replace takes the place of a runtime of that name.
	Replace bool `json:"replace"`
	// TimeoutMS is the deadline of the registration; 0 stands for ten minutes.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
}

// Register checks, compiles and adds a runtime to the catalog in RuntimesDir, for this process and every other.
func (e *Executor) Register(registration Registration) error {
	defer runtime.KeepAlive(e)
	_, err := e.ask(catalogRegister, struct {
		Executor string `json:"executor"`
		Registration
	}{e.id, registration})
	return err
}

// SubmitRegistration begins a registration and returns at once; it holds no thread. What is wrong with it, and what
// arawn_catalog_inspect would show, is the job's result. It ends when ctx does, as with [Executor.Execute].
func (e *Executor) SubmitRegistration(ctx context.Context, registration Registration) (*Job, error) {
	left, err := e.left(ctx)
	if err != nil {
		return nil, err
	}
	if left != 0 && left < day && (registration.TimeoutMS == 0 || left.Milliseconds() < registration.TimeoutMS) {
		registration.TimeoutMS = left.Milliseconds()
	}
	name := jobName()
	return e.begin(ctx, name, map[string]any{"executor": e.id, "register": registration, "job": name})
}

// Remove takes a runtime away again.
func (e *Executor) Remove(name string) error {
	defer runtime.KeepAlive(e)
	_, err := e.ask(catalogRemove, map[string]string{"executor": e.id, "name": name})
	return err
}
