package arawn

/*
#include <arawn.h>
#include <string.h>

// A reply that fits in `buffer` is copied there and released: one crossing from Go to C, where there would be two.
static char *execute(const char *request, int is_pipeline, char *buffer, size_t capacity, size_t *length)
{
	char *reply = is_pipeline ? arawn_execute_pipeline(request) : arawn_execute_runtime(request);

	*length = strlen(reply);
	if (*length > capacity)
		return reply;
	memcpy(buffer, reply, *length);
	arawn_free(reply);
	return NULL;
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

// Call is one run of a runtime.
type Call struct {
	Runtime string
	// Config and Context are marshalled to JSON; a json.RawMessage reaches the guest byte for byte. A nil reaches it
	// as {}. A []byte is refused, since encoding/json would make a base64 string of it.
	Config, Context any
	// Limits may be tighter than the executor's.
	Limits Limits
	// Job is a name for [Executor.Cancel], free again once the call has ended; one is made up where it is empty.
	Job string
	// Meta is filled in where it is not nil and the call succeeds. For a [Job] that is before Done is closed.
	Meta *Meta
}

// Meta is what arawn_execute_runtime tells of a call.
type Meta struct {
	Runtime      string `json:"runtime"`
	ModuleSHA256 string `json:"module_sha256"`
	// Cache is where the compiled module came from: "memory", "disk" or "compiled".
	Cache string `json:"cache"`
	// ScriptSHA256 is of a script only.
	ScriptSHA256 string `json:"script_sha256"`
	// Snapshot is of a runtime with snapshots only.
	Snapshot *Snapshot `json:"snapshot"`
	// The times are in microseconds: until the module was ready, until there was a worker and a slot, from there to
	// the guest's end, and the sum.
	LoadUS  int64 `json:"load_us"`
	QueueUS int64 `json:"queue_us"`
	RunUS   int64 `json:"run_us"`
	TotalUS int64 `json:"total_us"`
	// MemoryBytes is the most that the guest had.
	MemoryBytes int64 `json:"memory_bytes"`
	// Fuel is nil where it was not counted.
	Fuel   *int64 `json:"fuel"`
	Stderr string `json:"stderr"`
}

// Snapshot tells whether calls begin from a snapshot of the initialised runtime, and if not, why.
type Snapshot struct {
	Restored    bool   `json:"restored"`
	Problem     string `json:"problem"`
	MemoryBytes int64  `json:"memory_bytes"`
}

// Execute runs a runtime in a fresh sandbox, waits for it and returns its output; see [Into]. The call ends when ctx
// does: with an [*Error] of code "timeout" at its deadline, or else "cancelled". Meanwhile it holds a thread, as every
// call of C does; where there are thousands at once, see [Executor.Submit].
func (e *Executor) Execute(ctx context.Context, call Call) (json.RawMessage, error) {
	// It is not finalized while its own call is under way.
	defer runtime.KeepAlive(e)
	if call.Job == "" && ctx.Done() != nil {
		call.Job = jobName()
	}
	request := borrow()
	defer request.giveBack()
	if err := e.request(ctx, request, call); err != nil {
		return nil, err
	}
	return e.execute(ctx, call.Job, request, false, reader(call.Meta))
}

// execute runs what a request says, until ctx is cancelled.
func (s *shared) execute(
	ctx context.Context, job string, request *text, isPipeline bool, meta metaReader,
) (json.RawMessage, error) {
	if ctx.Done() != nil {
		defer s.cancelWith(ctx, job)()
	}
	output, err := execute(request, isPipeline, meta)
	return output, s.named(err)
}

// buffer is where C copies a reply.
type buffer struct {
	bytes  [4096]byte
	length C.size_t
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func execute(request *text, isPipeline bool, meta metaReader) (json.RawMessage, error) {
	b := buffers.Get().(*buffer)
	kind := C.int(0)
	if isPipeline {
		kind = 1
	}
	large := C.execute(request.c(), kind, (*C.char)(unsafe.Pointer(&b.bytes[0])), C.size_t(len(b.bytes)), &b.length)
	var reply []byte
	if large == nil {
		reply = append(reply, b.bytes[:b.length]...)
	} else {
		reply = append(reply, unsafe.Slice((*byte)(unsafe.Pointer(large)), int(b.length))...)
		C.arawn_free(large)
	}
	buffers.Put(b)
	return outcome(reply, meta)
}

// Cancel stops a call by its [Call.Job], submitted or not: it ends with an [*Error] of code "cancelled" within some
// milliseconds. The error is "unknown_job" where no call has that name.
func (e *Executor) Cancel(job string) error {
	defer runtime.KeepAlive(e)
	return e.cancel(job)
}

func (s *shared) cancel(job string) error {
	_, err := s.ask(cancel, map[string]string{"executor": s.id, "job": job})
	return err
}

// cancelWith cancels a call when ctx is cancelled, until it is stopped. A deadline is left to the library.
func (s *shared) cancelWith(ctx context.Context, job string) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		// Again and again, since the library may not have heard of the call yet.
		for errors.Is(ctx.Err(), context.Canceled) && s.cancel(job) != nil {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() { close(ended) }
}

// request writes a call.
func (s *shared) request(ctx context.Context, t *text, call Call) error {
	if err := s.options(ctx, t, call.Job, call.Meta != nil, call.Limits); err != nil {
		return err
	}
	t.WriteString(`,"runtime":`)
	if err := t.quote(call.Runtime); err != nil {
		return err
	}
	t.WriteString(`,"input":{`)
	if call.Config != nil {
		if err := t.part("Config", `"config":`, call.Config); err != nil {
			return err
		}
	}
	if call.Context != nil {
		if call.Config != nil {
			t.WriteByte(',')
		}
		if err := t.part("Context", `"context":`, call.Context); err != nil {
			return err
		}
	}
	t.WriteString("}}")
	return nil
}

// options begins a request, which has the context's deadline among its limits.
func (s *shared) options(ctx context.Context, t *text, job string, meta bool, limits Limits) error {
	left, err := s.left(ctx)
	if err != nil {
		return err
	}
	if left != 0 && left < s.timeout && (limits.TimeoutMS == 0 || left.Milliseconds() < limits.TimeoutMS) {
		limits.TimeoutMS = left.Milliseconds()
	}
	t.WriteString(s.prefix)
	if job != "" {
		t.WriteString(`,"job":`)
		if err := t.quote(job); err != nil {
			return err
		}
	}
	if meta {
		t.WriteString(`,"meta":true`)
	}
	return t.limits(limits)
}

// limits are mostly none, or a deadline.
func (t *text) limits(limits Limits) error {
	if limits == (Limits{}) {
		return nil
	}
	t.WriteString(`,"limits":`)
	if limits != (Limits{TimeoutMS: limits.TimeoutMS}) {
		return t.encode(limits)
	}
	t.WriteString(`{"timeout_ms":`)
	t.Write(strconv.AppendInt(make([]byte, 0, 20), limits.TimeoutMS, 10))
	t.WriteByte('}')
	return nil
}

// left is the time until the context's deadline, at least a millisecond, or 0 where it has none.
func (s *shared) left(ctx context.Context) (time.Duration, error) {
	if s.closed.Load() {
		return 0, s.unknown()
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0, ctx.Err()
	}
	// Rounded up: a call that ended before its context's deadline would surprise.
	left := time.Until(deadline) + time.Millisecond - 1
	if left < time.Millisecond {
		left = time.Millisecond
	}
	return left, ctx.Err()
}

// day is the longest deadline that the library takes.
const day = 24 * time.Hour
