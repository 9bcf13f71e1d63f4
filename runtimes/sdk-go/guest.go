//go:build wasip1

package arawn

import (
	"bytes"
	"os"
	"unsafe" // for go:linkname too
)

//go:wasmimport arawn host_call
func hostCall(name, request string) int32

//go:wasmimport arawn host_reply
func hostReply(buffer unsafe.Pointer, capacity uint32) int32

//go:wasmimport wasi_snapshot_preview1 environ_sizes_get
func environSizesGet(count, size *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 environ_get
func environGet(environ, buffer unsafe.Pointer) uint32

// ask returns the reply of a host function.
func ask(name, request string) []byte {
	reply := make([]byte, hostCall(name, request))
	hostReply(unsafe.Pointer(unsafe.SliceData(reply)), uint32(len(reply)))
	return reply
}

// The function main of the program, which Go does not call in a module that was built with -buildmode=c-shared.
//
//go:linkname programMain main.main
func programMain()

// The host calls it in place of _start, after _initialize. Commands export it too, without _initialize.
//
//go:wasmexport arawn_run
func run() {
	readVariables()
	programMain()
}

// readVariables sets the variables of this call. Go has read those of its start, which may lie before a snapshot.
func readVariables() {
	var count, size uint32
	if environSizesGet(&count, &size) != 0 || count == 0 || size == 0 {
		return
	}
	pointers, buffer := make([]uint32, count), make([]byte, size)
	if environGet(unsafe.Pointer(&pointers[0]), unsafe.Pointer(&buffer[0])) != 0 {
		return
	}
	for _, variable := range bytes.Split(buffer, []byte{0}) {
		name, value, isVariable := bytes.Cut(variable, []byte{'='})
		if !isVariable {
			continue
		}
		if known, isKnown := os.LookupEnv(string(name)); !isKnown || known != string(value) {
			_ = os.Setenv(string(name), string(value))
		}
	}
}
