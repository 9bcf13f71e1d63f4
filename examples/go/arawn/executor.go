package arawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what an executor may do. The zero value has the library's limits and grants nothing.
type Config struct {
	// ID is made up where it is empty.
	ID string
	// RuntimesDir holds catalog.toml. Without it only built-in runtimes are served.
	RuntimesDir string
	// CacheDir keeps compiled code between processes. Empty, it is the platform's; see NoDiskCache.
	CacheDir    string
	NoDiskCache bool
	Limits      Limits
	// Reload is when calls learn that files of the catalog have changed on disk; its zero value is ReloadAlways.
	Reload Reload
	Dirs   []Dir
	Env    map[string]string
	HTTP   *HTTP
	// HostFunctions are what guests may call, by name.
	HostFunctions map[string]HostFunction
	// StderrTo is the name of the one of them that is told each line that a guest writes to stderr. What it returns is
	// not looked at.
	StderrTo      string
	Deterministic *Deterministic
}

// Limits of an executor, or tighter ones of a call; 0 leaves one as it is. The last four are the executor's alone.
type Limits struct {
	TimeoutMS   int64 `json:"timeout_ms,omitempty"`
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	OutputBytes int64 `json:"output_bytes,omitempty"`
	StderrBytes int64 `json:"stderr_bytes,omitempty"`
	ModuleBytes int64 `json:"module_bytes,omitempty"`
	Fuel        int64 `json:"fuel,omitempty"`
	// Calls is how many run at once.
	Calls int64 `json:"calls,omitempty"`
	// CPUMSPerS is the processor time of all guests together, in milliseconds for each second.
	CPUMSPerS int64 `json:"cpu_ms_per_s,omitempty"`
	// MemoryTotalBytes is of all guests that run at once.
	MemoryTotalBytes int64 `json:"memory_total_bytes,omitempty"`
	// ReplyBytes is of replies that were not polled.
	ReplyBytes int64 `json:"reply_bytes,omitempty"`
}

// Reload is when calls learn that files of the catalog have changed on disk: [ReloadAlways], [ReloadNever] or what
// [ReloadWithinMS] returns.
type Reload struct{ value any }

var (
	// ReloadAlways has each call look at the files.
	ReloadAlways = Reload{"always"}
	// ReloadNever keeps the catalog that the executor was made with, and the module that it has loaded first.
	ReloadNever = Reload{"never"}
)

// ReloadWithinMS has a thread of the library look at the files: a call sees every change made so many milliseconds
// before it began.
func ReloadWithinMS(ms int64) Reload {
	return Reload{map[string]int64{"within_ms": ms}}
}

// Dir grants a directory of the host, under the guest's name for it.
type Dir struct {
	Host  string `json:"host"`
	Guest string `json:"guest"`
	Write bool   `json:"write"`
	// Bytes is how much guests may add to a writable directory; nil sets no limit.
	Bytes *int64 `json:"bytes,omitempty"`
}

// HTTP grants requests to the origins that Allow lists.
type HTTP struct {
	Allow        []string `json:"allow"`
	AllowPrivate bool     `json:"allow_private"`
}

// Deterministic stops the guests' time at UnixTime, in seconds, and makes their randomness of Seed.
type Deterministic struct {
	Seed     uint64 `json:"seed"`
	UnixTime int64  `json:"unix_time"`
}

// Executor runs runtimes within its [Config]. One that is not used any more is closed, if Close was not called, once
// the garbage collector finds it; a host function that mentions its own executor prevents that.
type Executor struct {
	*shared
}

// shared is what outlives an Executor that nobody can reach: the goroutines that poll and cancel have no more than
// this.
type shared struct {
	id      string
	timeout time.Duration
	handles handles
	jobs    jobs
	closing sync.Once
	closed  atomic.Bool
	result  error
}

// New makes an executor.
func New(config Config) (*Executor, error) {
	output, err := ask(executorNew, config.request())
	if err != nil {
		return nil, err
	}
	var policy struct {
		Executor string
		Limits   struct {
			TimeoutMS int64 `json:"timeout_ms"`
		}
	}
	if err := json.Unmarshal(output, &policy); err != nil {
		return nil, err
	}
	s := &shared{id: policy.Executor, timeout: time.Duration(policy.Limits.TimeoutMS) * time.Millisecond}
	for name, function := range config.HostFunctions {
		if err := s.setHostFunction(name, function); err != nil {
			s.close()
			return nil, err
		}
	}
	e := &Executor{s}
	// Closing waits for the disk: other finalizers must not wait for it.
	runtime.SetFinalizer(e, func(e *Executor) { go e.close() })
	return e, nil
}

func (c Config) request() map[string]any {
	type object = map[string]any
	names := []string{}
	for name := range c.HostFunctions {
		names = append(names, name)
	}
	capabilities := object{"host_functions": names}
	if c.Dirs != nil {
		capabilities["dirs"] = c.Dirs
	}
	if c.Env != nil {
		capabilities["env"] = c.Env
	}
	if c.HTTP != nil {
		capabilities["http"] = c.HTTP
	}
	request := object{"limits": c.Limits, "capabilities": capabilities}
	texts := map[string]string{
		"id": c.ID, "runtimes_dir": c.RuntimesDir, "cache_dir": c.CacheDir, "stderr_to": c.StderrTo,
	}
	for key, value := range texts {
		if value != "" {
			request[key] = value
		}
	}
	if c.Reload.value != nil {
		request["reload"] = c.Reload.value
	}
	if c.NoDiskCache {
		request["cache_dir"] = nil
	}
	if c.Deterministic != nil {
		request["deterministic"] = c.Deterministic
	}
	return request
}

// ID is the executor's name.
func (e *Executor) ID() string {
	return e.id
}

// Close lets calls in flight finish, and drops submitted ones: later calls, and submitted ones without a result, fail
// with "unknown_executor". It waits until no host function runs, unless it is called by one. A second Close does
// nothing.
func (e *Executor) Close() error {
	defer runtime.KeepAlive(e)
	return e.close()
}

func (s *shared) close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		_, s.result = ask(executorClose, map[string]string{"executor": s.id})
		s.jobs.close(s.unknown())
		s.handles.release()
	})
	return s.result
}

// ask makes no call by the name of an executor that is closed: by now it may be that of another.
func (s *shared) ask(f function, request any) (json.RawMessage, error) {
	if s.closed.Load() {
		return nil, s.unknown()
	}
	output, err := ask(f, request)
	var failure *Error
	if errors.As(err, &failure) && failure.Code == "unknown_executor" && s.closed.Load() {
		return nil, s.unknown()
	}
	return output, err
}

// unknown is what becomes of calls of a closed executor.
func (s *shared) unknown() error {
	details, err := json.Marshal(map[string]string{"executor": s.id})
	if err != nil {
		return err
	}
	return &Error{"unknown_executor", fmt.Sprintf("the executor %q is closed", s.id), details}
}

var names atomic.Uint64

// jobName makes names that are never used again, so that a cancellation that comes late hits no other call.
func jobName() string {
	return "go-" + strconv.FormatUint(names.Add(1), 10)
}
