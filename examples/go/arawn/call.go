package arawn

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"
)

// Call is one run of a runtime.
type Call struct {
	Runtime string
	// Config and Context are marshalled to JSON; a json.RawMessage reaches the guest as it is, but for white space.
	// A nil reaches it as {}. A []byte is refused, since encoding/json would make a base64 string of it.
	Config, Context any
	// Limits may be tighter than the executor's.
	Limits Limits
}

// Execute runs a runtime in a fresh sandbox, waits for it and returns its output. The call ends when ctx does: with an
// [*Error] of code "timeout" at its deadline, or else "cancelled". Meanwhile it holds a thread, as every call of C
// does; where there are thousands at once, see [Executor.Submit].
func (e *Executor) Execute(ctx context.Context, call Call) (json.RawMessage, error) {
	// It is not finalized while its own call is under way.
	defer runtime.KeepAlive(e)
	job := ""
	if ctx.Done() != nil {
		job = jobName()
	}
	request, err := e.request(ctx, call, job)
	if err != nil {
		return nil, err
	}
	defer e.cancelWith(ctx, job)()
	return e.ask(execute, request)
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
		for ctx.Err() == context.Canceled && !s.cancel(job) {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() { close(ended) }
}

// cancel stops a call; false where the library knows none of that name.
func (s *shared) cancel(job string) bool {
	_, err := s.ask(cancel, map[string]string{"executor": s.id, "job": job})
	return err == nil
}

type request struct {
	Executor string `json:"executor"`
	Runtime  string `json:"runtime"`
	Input    input  `json:"input"`
	Limits   Limits `json:"limits"`
	Job      string `json:"job,omitempty"`
}

type input struct {
	Config  any `json:"config,omitempty"`
	Context any `json:"context,omitempty"`
}

// request has the context's deadline among its limits.
func (s *shared) request(ctx context.Context, call Call, job string) (request, error) {
	r := request{s.id, call.Runtime, input{call.Config, call.Context}, call.Limits, job}
	for name, value := range map[string]any{"Config": call.Config, "Context": call.Context} {
		if _, is := value.([]byte); is {
			return r, fmt.Errorf("arawn: %s is a []byte: pass json.RawMessage(…) for JSON, or a string for text", name)
		}
	}
	left, err := s.left(ctx)
	if left != 0 && left < s.timeout && (r.Limits.TimeoutMS == 0 || left.Milliseconds() < r.Limits.TimeoutMS) {
		r.Limits.TimeoutMS = left.Milliseconds()
	}
	return r, err
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
