//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
)

// Error is an error reply of the library. Find it with [errors.As]. With [errors.Is], code "timeout" is
// [context.DeadlineExceeded], whether the deadline was the context's or a limit, and so is "overloaded" where nothing
// could run the call before it; "cancelled" is [context.Canceled].
type Error struct {
	// Code is one of the header's table.
	Code string
	// Text is for people, and may change.
	Text string
	// Details is a JSON object, whose keys the table lists.
	Details json.RawMessage
}

func (e *Error) Error() string {
	return e.Code + ": " + e.Text
}

// Is tells whether a context's error stands for the same.
func (e *Error) Is(target error) bool {
	switch e.Code {
	case "timeout":
		return target == context.DeadlineExceeded
	case "overloaded":
		// Without a deadline in the details it is a limit of the executor that is used up.
		var details struct {
			TimeoutMS int64 `json:"timeout_ms"`
		}
		err := json.Unmarshal(e.Details, &details)
		return err == nil && details.TimeoutMS != 0 && target == context.DeadlineExceeded
	case "cancelled":
		return target == context.Canceled
	}
	return false
}
