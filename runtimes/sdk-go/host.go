package arawn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Call calls a function of the host, and waits for its answer:
//
//	pieces, err := arawn.Call[uint64]("stock.level", Question{Sku: "CUP-0113"})
//
// The error is what the host says is wrong, or why it was not asked: the executor's capabilities.host_functions does not
// list the name, or the host has not set the function. It begins with the name.
func Call[Output any](name string, request any) (Output, error) {
	var reply struct {
		Status string          `json:"status"`
		Output json.RawMessage `json:"output"`
		Error  string          `json:"error"`
	}
	var output Output
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(request)
	if err == nil {
		err = json.Unmarshal(ask(name, text.String()), &reply)
	}
	if err == nil && reply.Status != "ok" {
		err = errors.New(reply.Error)
	}
	if err == nil && reply.Output != nil {
		if err = json.Unmarshal(reply.Output, &output); err != nil {
			err = told("its reply", err)
		}
	}
	if err != nil {
		return output, fmt.Errorf("%s: %w", name, err)
	}
	return output, nil
}
