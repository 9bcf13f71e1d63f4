// Package arawn runs sandboxed WebAssembly runtimes in this process: a thin layer over libarawn's C interface, whose
// header says all that is not said here.
//
//	executor, err := arawn.New(arawn.Config{})
//	defer executor.Close()
//	output, err := executor.Execute(ctx, arawn.Call{Runtime: "transform", Config: …, Context: …})
//
// Any number of goroutines may use everything at once. What is wrong with a call comes back as an [*Error].
//
// The package is linked to the library by cgo, which takes a C compiler. A build tag says which library that is:
//
//	(none)         the shared one that is installed: pkg-config knows arawn
//	arawn_static   the static one that is installed: pkg-config knows arawn-static
//	arawn_bundled  the static one that a released module has in it; nothing is to be installed
//
// A program without any shared library, which getaddrinfo of glibc makes the linker warn of, is built by
//
//	go build -tags arawn_static -ldflags '-linkmode external -extldflags "-static"'
//
// From a checkout a program takes the module by
//
//	go mod edit -require arawn.dev/arawn@v0.1.0 -replace arawn.dev/arawn=../libarawn/bindings/go
//
// A library that is installed where pkg-config does not look is found by PKG_CONFIG_PATH, and when the program runs by
// CGO_LDFLAGS of the build:
//
//	PKG_CONFIG_PATH=/opt/arawn/lib/pkgconfig CGO_LDFLAGS=-Wl,-rpath,/opt/arawn/lib go build
package arawn

// #include <arawn.h>
import "C"

import (
	"encoding/json"
	"fmt"
	"unsafe"
)

// Version tells the library's version, such as "0.1.0".
func Version() string {
	return C.GoString(C.arawn_version())
}

// Stats tells figures of the process since it began, as arawn_stats does. [Executor.Stats] adds those of an executor.
func Stats() (json.RawMessage, error) {
	return ask(stats, struct{}{})
}

// Options of the whole process; 0 and nil leave one as it is. See arawn_configure.
type Options struct {
	// PoolSlots is how many calls may run at once.
	PoolSlots int64 `json:"pool_slots,omitempty"`
	// Workers are the threads that run submitted calls.
	Workers int64 `json:"workers,omitempty"`
	// Queue is how many submitted calls and registrations one executor may have at once.
	Queue            int64 `json:"queue,omitempty"`
	ModuleCacheBytes int64 `json:"module_cache_bytes,omitempty"`
	DiskCacheBytes   int64 `json:"disk_cache_bytes,omitempty"`
	// SignalHandlers is false where guests are to trap without them.
	SignalHandlers *bool `json:"signal_handlers,omitempty"`
	// Target is "native" or "pulley", which makes no memory executable.
	Target string `json:"target,omitempty"`
}

// Configure sets the options of the whole process, before the first executor is made, and returns those in force.
func Configure(options Options) (Options, error) {
	return Into[Options](ask(configure, options))
}

// Into unmarshals an output, and passes an error on:
//
//	order, err := arawn.Into[Order](executor.Execute(ctx, call))
//	order, err := arawn.Into[Order](job.Result())
func Into[T any](output json.RawMessage, err error) (T, error) {
	var value T
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(output, &value); err != nil {
		return value, fmt.Errorf("arawn: the output: %w", err)
	}
	return value, nil
}

// function is one of the C interface that takes JSON and returns JSON.
type function = func(*C.char) *C.char

// ask makes a call of the C interface.
func ask(f function, request any) (json.RawMessage, error) {
	text := borrow()
	defer text.giveBack()
	if err := text.encode(request); err != nil {
		return nil, err
	}
	return text.ask(f)
}

// ask passes the request to the library, which reads it in place.
func (t *text) ask(f function) (json.RawMessage, error) {
	reply := f(t.c())
	defer C.arawn_free(reply)
	return outcome([]byte(C.GoString(reply)), nil)
}

// c is the text as one of C. No other NUL is in it, since JSON has none.
func (t *text) c() *C.char {
	t.WriteByte(0)
	return (*C.char)(unsafe.Pointer(&t.Bytes()[0]))
}

func cancel(request *C.char) *C.char         { return C.arawn_cancel(request) }
func catalogInspect(request *C.char) *C.char { return C.arawn_catalog_inspect(request) }
func catalogList(request *C.char) *C.char    { return C.arawn_catalog_list(request) }
func catalogRemove(request *C.char) *C.char  { return C.arawn_catalog_remove(request) }
func configure(options *C.char) *C.char      { return C.arawn_configure(options) }
func executorClose(request *C.char) *C.char  { return C.arawn_executor_close(request) }
func executorNew(config *C.char) *C.char     { return C.arawn_executor_new(config) }
func hostReply(request *C.char) *C.char      { return C.arawn_host_reply(request) }
func poll(request *C.char) *C.char           { return C.arawn_poll(request) }
func stats(request *C.char) *C.char          { return C.arawn_stats(request) }
func submit(request *C.char) *C.char         { return C.arawn_submit(request) }
