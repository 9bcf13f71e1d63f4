//go:build cgo

package arawn

import (
	"context"
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
	// PollFunctions are the same, but run one after the other in one goroutine of the executor, on one thread, so that
	// what they share takes no lock. They must not wait for a [Job] of the executor: no reply is taken meanwhile.
	PollFunctions map[string]HostFunction
	// DeferredFunctions are the same, but may wait: each call has a goroutine.
	DeferredFunctions map[string]DeferredFunction
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
	id string
	// prefix is how the request of a call begins.
	prefix  string
	timeout time.Duration
	handles handles
	jobs    jobs
	closing sync.Once
	closed  atomic.Bool
	result  error
	// context is that of deferred functions.
	context context.Context
	end     context.CancelFunc
	// insidePoll is how many poll functions run.
	insidePoll atomic.Int64
}

// New makes an executor.
func New(config Config) (*Executor, error) {
	request, err := config.request()
	if err != nil {
		return nil, err
	}
	policy, err := Into[struct {
		Executor string
		Limits   struct {
			TimeoutMS int64 `json:"timeout_ms"`
		}
	}](ask(executorNew, request))
	if err != nil {
		return nil, err
	}
	s := &shared{id: policy.Executor, timeout: time.Duration(policy.Limits.TimeoutMS) * time.Millisecond}
	s.context, s.end = context.WithCancel(context.Background())
	prefix := borrow()
	defer prefix.giveBack()
	prefix.WriteString(`{"executor":`)
	if err = prefix.quote(s.id); err == nil {
		s.prefix = prefix.String()
		err = s.setAll(config)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	if len(config.PollFunctions) > 0 {
		s.jobs.runs = true
		s.jobs.begin(s)
	}
	e := &Executor{s}
	// Closing waits for the disk: other finalizers must not wait for it.
	runtime.SetFinalizer(e, func(e *Executor) { go e.close() })
	return e, nil
}

func (c Config) request() (map[string]any, error) {
	type object = map[string]any
	names, err := c.functionNames()
	if err != nil {
		return nil, err
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
	return request, nil
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
		s.end()
		_, s.result = ask(executorClose, map[string]string{"executor": s.id})
		if s.insidePoll.Load() > 0 {
			// One of them closes its executor, and the goroutine that it runs in cannot wait for itself.
			go s.jobs.close(s.unknown())
		} else {
			s.jobs.close(s.unknown())
		}
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
	return output, s.named(err)
}

// named is the error of a call that was under way when the executor was closed.
func (s *shared) named(err error) error {
	var failure *Error
	if err != nil && errors.As(err, &failure) && failure.Code == "unknown_executor" && s.closed.Load() {
		return s.unknown()
	}
	return err
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
