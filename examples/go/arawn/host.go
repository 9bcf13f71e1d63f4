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
	return arawn_host_function_set(request, trampoline, (void *)handle);
}
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"runtime/cgo"
	"sync"
)

// HostFunction is what a guest calls by name. It gets the guest's request, and what it returns is marshalled for the
// guest; an error, or a panic, reaches the guest as an error of its call. Several goroutines may be inside of it at
// once.
type HostFunction func(request json.RawMessage) (any, error)

// handles keep an executor's host functions alive while the library may call them.
type handles struct {
	sync.Mutex
	all []cgo.Handle
}

func (s *shared) setHostFunction(name string, function HostFunction) error {
	if function == nil {
		return fmt.Errorf("arawn: the host function %q is nil", name)
	}
	handle := cgo.NewHandle(function)
	s.handles.Lock()
	s.handles.all = append(s.handles.all, handle)
	s.handles.Unlock()
	set := func(request *C.char) *C.char { return C.set(request, C.uintptr_t(handle)) }
	_, err := ask(set, map[string]string{"executor": s.id, "name": name})
	return err
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
