// Package arawn makes a libarawn runtime of one function, from typed config and context to an output.
//
//	func main() {
//		arawn.Run(func(config Config, context Context) (string, error) {
//			return config.Greeting + ", " + context.Name, nil
//		})
//	}
//
// The same program is a command and a reactor, which begins from snapshots:
//
//	GOOS=wasip1 GOARCH=wasm go build -o greet.wasm .
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o greet.wasm .
//
// A snapshot holds what Go's own start, the variables of packages and the functions init have made. main, and so
// everything around Run in it, belongs to each call.
//
// Go takes random bytes while it starts, as seeds of its maps and of math/rand. A reactor therefore has a snapshot only
// if its entry says shared_random = true, and these seeds are then the same in all calls. crypto/rand reads anew in each
// call.
package arawn

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// Run runs a whole runtime: it reads stdin to its end, calls runtime at most once, and writes one RuntimeOutput to
// stdout. Call it once, as all that main does.
//
// Config and context may be of any type that encoding/json reads, and the output of any type that it writes. A member
// that the input lacks is read as {}. An input that does not fit its type answers an error with the path of the value.
//
// The exit code is 0, also for an answer with "status":"error". It is 1 for a panic, which answers "panicked: ..." and
// prints its stack to stderr, and for a stdout that cannot be written. A panic of another goroutine ends the program
// without an answer.
//
// stdout belongs to Run. Diagnostics go to stderr.
func Run[Config, Context, Output any](runtime func(Config, Context) (Output, error)) {
	answer, panicked := Respond(os.Stdin, runtime)
	if _, err := os.Stdout.Write(answer); err != nil || panicked {
		os.Exit(1)
	}
}

// Respond is Run without its input and output: it reads one RuntimeInput, and returns the RuntimeOutput and whether
// runtime has panicked. With it a test makes a whole call.
func Respond[Config, Context, Output any](
	stdin io.Reader, runtime func(Config, Context) (Output, error),
) (answer []byte, panicked bool) {
	input, err := io.ReadAll(stdin)
	if err != nil {
		return failure("stdin cannot be read: " + err.Error()), false
	}
	defer func() {
		if message := recover(); message != nil {
			fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", message, debug.Stack())
			answer, panicked = failure(fmt.Sprint("panicked: ", message)), true
		}
	}()
	config, context, err := parse[Config, Context](input)
	if err != nil {
		return failure(err.Error()), false
	}
	output, err := runtime(config, context)
	if err != nil {
		return failure(err.Error()), false
	}
	answer, err = success(output)
	if err != nil {
		return failure("output: " + err.Error()), false
	}
	return answer, false
}
