package arawn

import (
	"context"
	"runtime"
)

// Registration is a runtime for [Executor.Register] and [Executor.SubmitRegistration].
type Registration struct {
	Name string `json:"name"`
	// Path of the .wasm file, which is copied into the catalog.
	Path        string `json:"path"`
	Description string `json:"description,omitempty"`
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
