package arawn

/*
#include <arawn.h>
#include <stdint.h>

char *arawnHostFunction(char *request, uintptr_t handle);

// A handle is a number: as a pointer of Go it would be a bad one.
static char *trampoline(const char *request, void *handle)
{
	return arawnHostFunction((char *)request, (uintptr_t)handle);
}

static char *set(const char *request, uintptr_t handle)
{
	return arawn_host_function_set(request, handle == 0 ? NULL : trampoline, (void *)handle);
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/cgo"
	"sync"
)

// HostFunction is what a guest calls by name. It gets the guest's request, and what it returns is marshalled for the
// guest; an error, or a panic, reaches the guest as an error of its call. It runs on the thread that runs the call.
// Several goroutines may be inside of it at once.
type HostFunction func(request json.RawMessage) (any, error)

// DeferredFunction is the same, but runs in a goroutine of its own, and may wait there: for a channel, or for calls and
// jobs of this package. A submitted call holds no thread meanwhile. ctx is done once the executor is closed.
type DeferredFunction func(ctx context.Context, request json.RawMessage) (any, error)

// answers is a host function: it gives its reply, or nil where that comes later.
type answers interface {
	answer(request json.RawMessage) (*text, error)
}

func (f HostFunction) answer(request json.RawMessage) (*text, error) {
	output, err := f(request)
	if err != nil {
		return nil, err
	}
	return replied(output)
}

// polled is a function that runs within the goroutine that polls.
type polled struct {
	HostFunction
	*shared
}

func (f polled) answer(request json.RawMessage) (*text, error) {
	f.insidePoll.Add(1)
	defer f.insidePoll.Add(-1)
	return f.HostFunction.answer(request)
}

type deferred struct {
	DeferredFunction
	*shared
}

func (f deferred) answer(envelope json.RawMessage) (*text, error) {
	var called struct {
		Call    *string
		Request json.RawMessage
	}
	if err := json.Unmarshal(envelope, &called); err != nil {
		return nil, err
	}
	go func() {
		reply, err := f.run(called.Request)
		if err != nil {
			reply = refused(err)
		}
		if reply == nil {
			return
		}
		defer reply.giveBack()
		// A message has no name, and nobody waits for its answer.
		if called.Call != nil {
			// Where the guest has ended meanwhile, nobody waits for the answer either.
			_, _ = f.ask(hostReply, map[string]any{
				"executor": f.id, "call": *called.Call, "reply": json.RawMessage(reply.Bytes()),
			})
		}
	}()
	return nil, nil
}

func (f deferred) run(request json.RawMessage) (reply *text, err error) {
	defer recovered(&err)
	output, err := f.DeferredFunction(f.context, request)
	if err != nil {
		return nil, err
	}
	return replied(output)
}

// handles keep an executor's host functions alive while the library may call them.
type handles struct {
	sync.Mutex
	all []cgo.Handle
}

// SetHostFunction replaces a function of [Config.HostFunctions], or of the other two maps. With nil the function is
// unset, and guests that call it get an error. When it returns nobody is inside of the old function, unless it is
// called from within a host function. The name "arawn.log" is special: see arawn_host_function_set.
func (e *Executor) SetHostFunction(name string, function HostFunction) error {
	defer runtime.KeepAlive(e)
	if function == nil {
		return e.setHostFunction(name, nil)
	}
	return e.setHostFunction(name, function)
}

func (s *shared) setHostFunction(name string, function answers) error {
	request := map[string]any{"executor": s.id, "name": name}
	switch function.(type) {
	case polled:
		request["on"] = "poll"
	case deferred:
		request["deferred"] = true
	}
	var handle cgo.Handle
	if function != nil {
		handle = cgo.NewHandle(function)
		s.handles.Lock()
		s.handles.all = append(s.handles.all, handle)
		s.handles.Unlock()
	}
	_, err := s.ask(func(request *C.char) *C.char { return C.set(request, C.uintptr_t(handle)) }, request)
	return err
}

// setAll sets the functions that a configuration names.
func (s *shared) setAll(config Config) error {
	for name, function := range config.HostFunctions {
		if err := s.setHostFunction(name, function); err != nil {
			return err
		}
	}
	for name, function := range config.PollFunctions {
		if err := s.setHostFunction(name, polled{function, s}); err != nil {
			return err
		}
	}
	for name, function := range config.DeferredFunctions {
		if err := s.setHostFunction(name, deferred{function, s}); err != nil {
			return err
		}
	}
	return nil
}

// functionNames are those to grant. A name is in one of the maps.
func (c Config) functionNames() ([]string, error) {
	names := []string{}
	seen := map[string]bool{}
	add := func(name string, isNil bool) error {
		if isNil {
			return fmt.Errorf("arawn: the host function %q is nil", name)
		}
		if seen[name] {
			return fmt.Errorf("arawn: the host function %q is there twice", name)
		}
		seen[name] = true
		// It need not be granted, and cannot be.
		if name != "arawn.log" {
			names = append(names, name)
		}
		return nil
	}
	for name, function := range c.HostFunctions {
		if err := add(name, function == nil); err != nil {
			return nil, err
		}
	}
	for name, function := range c.PollFunctions {
		if err := add(name, function == nil); err != nil {
			return nil, err
		}
	}
	for name, function := range c.DeferredFunctions {
		if err := add(name, function == nil); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// release is safe even where a function closed its own executor while others run: a handle is looked up once, and one
// that is gone is a panic, which becomes an error of the guest's call.
func (h *handles) release() {
	h.Lock()
	defer h.Unlock()
	for _, handle := range h.all {
		handle.Delete()
	}
	h.all = nil
}
