//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
	"runtime"
)

// Language is the language of a script.
type Language string

// The languages of scripts.
const (
	JavaScript Language = "javascript"
	Lua        Language = "lua"
)

// Registration is a runtime for [Executor.Register] and [Executor.SubmitRegistration]. It has one of Path, Wasm,
// ModuleOf and Script.
type Registration struct {
	Name string `json:"name"`
	// Path of the .wasm file or of the script's file, which is copied into the catalog.
	Path string `json:"path,omitempty"`
	// Wasm is the module itself.
	Wasm []byte `json:"wasm_base64,omitempty"`
	// ModuleOf is another runtime of the catalog, whose module this one has, with Args of its own.
	ModuleOf string `json:"module_of,omitempty"`
	// Script is the text of a script. One that does not parse is "script_invalid", with line and column in the details.
	Script string `json:"script,omitempty"`
	// Language of Script, or of the script at Path; "" where the name of that file ends in .js, .mjs or .lua.
	Language    Language `json:"language,omitempty"`
	Description string   `json:"description,omitempty"`
	// ConfigSchema is a JSON Schema that the config of each call must fit.
	ConfigSchema any               `json:"config_schema,omitempty"`
	Args         []string          `json:"args,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	// Snapshot is "init" or "off"; "" stands for the default, which is "init" for a script and "off" for a module.
	Snapshot string `json:"snapshot,omitempty"`
	// WarmUp is the text of a request that runs once before the snapshot is made.
	WarmUp string `json:"warm_up,omitempty"`
	// SharedRandom lets the runtime take random bytes before the snapshot, which all its calls share.
	SharedRandom bool `json:"shared_random,omitempty"`
	// Replace takes the place of a runtime of that name.
	Replace bool `json:"replace"`
	// TimeoutMS is the deadline of the registration; 0 stands for ten minutes.
	TimeoutMS int64 `json:"timeout_ms,omitempty"`
}

// Runtime is an entry of a catalog.
type Runtime struct {
	Name string `json:"name"`
	// Category is "builtin" or "custom".
	Category        string `json:"category"`
	Description     string `json:"description"`
	HasConfigSchema bool   `json:"has_config_schema"`
}

// Inspection is what arawn_catalog_inspect shows of a runtime.
type Inspection struct {
	Name        string `json:"name"`
	Category    string `json:"category"`
	Description string `json:"description"`
	// Path is empty for a built-in runtime.
	Path string            `json:"path"`
	Args []string          `json:"args"`
	Env  map[string]string `json:"env"`
	// ConfigSchema is null where there is none.
	ConfigSchema json.RawMessage `json:"config_schema"`
	// Pin is the SHA-256 that the file must have, and SHA256 the one that it has.
	Pin    string `json:"pin"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	// Kind is "module", "component" or "script".
	Kind         string    `json:"kind"`
	Language     Language  `json:"language"`
	Imports      []string  `json:"imports"`
	Capabilities []string  `json:"capabilities"`
	Snapshot     *Snapshot `json:"snapshot"`
	// Problem is why a call would fail, as far as it is known; nil where nothing was found.
	Problem *Problem `json:"problem"`
}

// Problem is an error that a call would have.
type Problem struct {
	Code string `json:"code"`
	Text string `json:"error"`
}

// Register checks, compiles and adds a runtime to the catalog in RuntimesDir, for this process and every other. It ends
// when ctx does, as with [Executor.Execute].
func (e *Executor) Register(ctx context.Context, registration Registration) (*Inspection, error) {
	job, err := e.SubmitRegistration(ctx, registration)
	if err != nil {
		return nil, err
	}
	return Into[*Inspection](job.Result())
}

// SubmitRegistration begins a registration and returns at once; it holds no thread. The job's result is what
// [Executor.Inspect] shows, as JSON, or what is wrong with the registration.
func (e *Executor) SubmitRegistration(ctx context.Context, registration Registration) (*Job, error) {
	left, err := e.left(ctx)
	if err != nil {
		return nil, err
	}
	if left != 0 && left < day && (registration.TimeoutMS == 0 || left.Milliseconds() < registration.TimeoutMS) {
		registration.TimeoutMS = left.Milliseconds()
	}
	request := borrow()
	defer request.giveBack()
	name := jobName()
	if err := request.encode(map[string]any{"executor": e.id, "register": registration, "job": name}); err != nil {
		return nil, err
	}
	return e.begin(ctx, name, nil, request)
}

// Remove takes a runtime away again.
func (e *Executor) Remove(name string) error {
	defer runtime.KeepAlive(e)
	_, err := e.ask(catalogRemove, map[string]string{"executor": e.id, "name": name})
	return err
}

// List tells the runtimes that the executor serves, sorted by name.
func (e *Executor) List() ([]Runtime, error) {
	defer runtime.KeepAlive(e)
	list, err := Into[struct{ Runtimes []Runtime }](e.ask(catalogList, map[string]string{"executor": e.id}))
	return list.Runtimes, err
}

// Inspect shows one runtime. Its file is read and checked, but not compiled.
func (e *Executor) Inspect(name string) (*Inspection, error) {
	defer runtime.KeepAlive(e)
	return Into[*Inspection](e.ask(catalogInspect, map[string]string{"executor": e.id, "name": name}))
}

// Stats tells what [Stats] does, and figures of the executor as well.
func (e *Executor) Stats() (json.RawMessage, error) {
	defer runtime.KeepAlive(e)
	return e.ask(stats, map[string]string{"executor": e.id})
}
