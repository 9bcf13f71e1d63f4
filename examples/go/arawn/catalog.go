package arawn

import "runtime"

// Registration is a runtime for [Executor.Register].
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

// Remove takes a runtime away again.
func (e *Executor) Remove(name string) error {
	defer runtime.KeepAlive(e)
	_, err := e.ask(catalogRemove, map[string]string{"executor": e.id, "name": name})
	return err
}
