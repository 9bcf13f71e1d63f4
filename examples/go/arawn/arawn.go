// Package arawn runs sandboxed WebAssembly runtimes in this process: a thin layer over libarawn's C interface, whose
// header says all that is not said here. To use it in a program of your own, copy the directory.
//
//	executor, err := arawn.New(arawn.Config{})
//	defer executor.Close()
//	output, err := executor.Execute(ctx, arawn.Call{Runtime: "transform", Config: …, Context: …})
//
// Any number of goroutines may use everything at once. What is wrong with a call comes back as an [*Error].
//
// cgo finds header and library where CGO_CFLAGS and CGO_LDFLAGS say, as in
//
//	CGO_CFLAGS=-I/opt/arawn/include CGO_LDFLAGS='-L/opt/arawn/lib -Wl,-rpath,/opt/arawn/lib' go build
//
// or, where it is installed, without them: write "#cgo pkg-config: arawn" in place of the line "#cgo LDFLAGS" below.
package arawn

/*
#cgo LDFLAGS: -larawn

#include <arawn.h>
*/
import "C"

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unsafe"
)

// Version tells the library's version, such as "0.1.0".
func Version() string {
	return C.GoString(C.arawn_version())
}

// Stats tells figures of the process since it began, as arawn_stats does.
func Stats() (json.RawMessage, error) {
	return ask(stats, struct{}{})
}

// reply is the form of every reply of the library.
type reply struct {
	Status  string          `json:"status"`
	Output  json.RawMessage `json:"output"`
	Error   string          `json:"error"`
	Code    string          `json:"code"`
	Details json.RawMessage `json:"details"`
}

// outcome is the reply's output, or its error.
func (r reply) outcome() (json.RawMessage, error) {
	if r.Status == "ok" {
		return r.Output, nil
	}
	return nil, &Error{Code: r.Code, Text: r.Error, Details: r.Details}
}

// function is one of the C interface that takes JSON and returns JSON.
type function = func(*C.char) *C.char

// ask makes a call of the C interface: it is given the request as C text, and its reply is taken over.
func ask(f function, request any) (json.RawMessage, error) {
	text, err := marshal(request)
	if err != nil {
		return nil, fmt.Errorf("arawn: the request is not JSON: %w", err)
	}
	return taken(f((*C.char)(unsafe.Pointer(&text[0])))).outcome()
}

// marshal makes JSON that ends with a NUL, which C reads in place. There is no other in it.
func marshal(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	text.WriteByte(0)
	return text.Bytes(), nil
}

// taken parses and releases a reply.
func taken(text *C.char) reply {
	defer C.arawn_free(text)
	var r reply
	if err := json.Unmarshal([]byte(C.GoString(text)), &r); err != nil {
		return reply{Code: "internal", Error: fmt.Sprintf("the reply is not JSON: %v", err)}
	}
	return r
}

func cancel(request *C.char) *C.char          { return C.arawn_cancel(request) }
func catalogRegister(request *C.char) *C.char { return C.arawn_catalog_register(request) }
func catalogRemove(request *C.char) *C.char   { return C.arawn_catalog_remove(request) }
func execute(request *C.char) *C.char         { return C.arawn_execute_runtime(request) }
func executorClose(request *C.char) *C.char   { return C.arawn_executor_close(request) }
func executorNew(config *C.char) *C.char      { return C.arawn_executor_new(config) }
func poll(request *C.char) *C.char            { return C.arawn_poll(request) }
func stats(request *C.char) *C.char           { return C.arawn_stats(request) }
func submit(request *C.char) *C.char          { return C.arawn_submit(request) }
