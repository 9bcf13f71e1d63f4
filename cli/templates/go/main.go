// This runtime greets a person: {"config": {"greeting": "Hello"}, "context": {"name": "Ada"}} gives "Hello, Ada!".
package main

import (
	"errors"

	arawn "example.com/libarawn/runtimes/sdk-go"
)

// What the caller asks for.
type config struct {
	Greeting string `json:"greeting"`
}

// The data to work on.
type context struct {
	Name string `json:"name"`
}

// greet is the runtime: from config and context to an output, or to an error for a person to read.
func greet(config config, context context) (string, error) {
	if context.Name == "" {
		return "", errors.New("context.name is empty")
	}
	if config.Greeting == "" {
		config.Greeting = "Hello"
	}
	return config.Greeting + ", " + context.Name + "!", nil
}

func main() {
	// Reads the input from stdin and writes the reply to stdout. Print messages of your own to os.Stderr.
	arawn.Run(greet)
}
