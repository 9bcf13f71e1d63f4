package arawn

// A file of its own: cgo lets one that exports functions declare C functions, and not define them.

// #include <arawn.h>
// #include <stdint.h>
import "C"

import (
	"encoding/json"
	"fmt"
	"runtime/cgo"
)

//export arawnHostFunction
func arawnHostFunction(request *C.char, handle C.uintptr_t) *C.char {
	reply, err := called(json.RawMessage(C.GoString(request)), cgo.Handle(handle))
	if err != nil {
		reply = refused(err)
	}
	if reply == nil {
		return nil
	}
	defer reply.giveBack()
	return C.arawn_string_new(reply.c())
}

// called is the reply, nil where it comes later. A handle that is gone is a panic.
func called(request json.RawMessage, handle cgo.Handle) (reply *text, err error) {
	defer recovered(&err)
	return handle.Value().(answers).answer(request)
}

// recovered lets no panic through to C, whose frames it could not unwind.
func recovered(err *error) {
	if panicked := recover(); panicked != nil {
		*err = fmt.Errorf("panic: %v", panicked)
	}
}

func replied(output any) (*text, error) {
	t := borrow()
	t.WriteString(`{"status":"ok","output":`)
	if err := t.encode(output); err != nil {
		return nil, err
	}
	t.WriteByte('}')
	return t, nil
}

func refused(problem error) *text {
	t := borrow()
	t.WriteString(`{"status":"error","error":`)
	if t.encode(problem.Error()) != nil {
		return nil
	}
	t.WriteByte('}')
	return t
}
