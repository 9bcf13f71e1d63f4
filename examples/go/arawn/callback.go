package arawn

// A file of its own: cgo lets one that exports functions declare C functions, and not define them.

// #include <arawn.h>
// #include <stdint.h>
import "C"

import (
	"encoding/json"
	"fmt"
	"runtime/cgo"
	"unsafe"
)

type answer struct {
	Status string `json:"status"`
	Output any    `json:"output"`
}

type refusal struct {
	Status string `json:"status"`
	Error  string `json:"error"`
}

//export arawnHostFunction
func arawnHostFunction(request *C.char, handle C.uintptr_t) *C.char {
	output, err := call(C.GoString(request), cgo.Handle(handle))
	var text []byte
	if err == nil {
		text, err = marshal(answer{Status: "ok", Output: output})
	}
	if err != nil {
		text, err = marshal(refusal{Status: "error", Error: err.Error()})
	}
	if err != nil {
		return nil
	}
	return C.arawn_string_new((*C.char)(unsafe.Pointer(&text[0])))
}

// call lets no panic through to C, whose frames it could not unwind.
func call(request string, handle cgo.Handle) (output any, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return handle.Value().(HostFunction)(json.RawMessage(request))
}
