//go:build cgo

package arawn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"unicode/utf8"
)

// text is JSON while it grows. Texts are used again, since most requests are small and each call has one.
type text struct {
	bytes.Buffer
	encoder *json.Encoder
}

// mostKept is how large a text may be and be used again.
const mostKept = 64 << 10

var texts = sync.Pool{New: func() any {
	t := new(text)
	t.encoder = json.NewEncoder(&t.Buffer)
	t.encoder.SetEscapeHTML(false)
	return t
}}

func borrow() *text {
	t := texts.Get().(*text)
	t.Reset()
	return t
}

func (t *text) giveBack() {
	if t.Cap() <= mostKept {
		texts.Put(t)
	}
}

// encode appends a value.
func (t *text) encode(value any) error {
	if err := t.encoder.Encode(value); err != nil {
		return fmt.Errorf("arawn: the request is not JSON: %w", err)
	}
	// The encoder ends a value by a line break.
	t.Truncate(t.Len() - 1)
	return nil
}

// quote appends a string, as it stands where it has nothing to escape.
func (t *text) quote(s string) error {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return t.encode(s)
		}
	}
	t.WriteByte('"')
	t.WriteString(s)
	t.WriteByte('"')
	return nil
}

// part appends a part of a request: JSON that is a text already as it stands, once it is known to be one value.
func (t *text) part(field, key string, value any) error {
	t.WriteString(key)
	switch value := value.(type) {
	case []byte:
		return fmt.Errorf("arawn: %s is a []byte: pass json.RawMessage(…) for JSON, or a string for text", field)
	case string:
		return t.quote(value)
	case json.RawMessage:
		if value != nil && json.Valid(value) {
			t.Write(value)
			return nil
		}
	}
	return t.encode(value)
}

// reply is the form of every reply of the library.
type reply struct {
	Status  string          `json:"status"`
	Output  json.RawMessage `json:"output"`
	Meta    json.RawMessage `json:"meta"`
	Error   string          `json:"error"`
	Code    string          `json:"code"`
	Details json.RawMessage `json:"details"`
}

var fine = []byte(`{"status":"ok","output":`)

// metaReader reads what a reply tells of a call; it is nil where nobody asked.
type metaReader func(json.RawMessage) error

func reader[M any](meta *M) metaReader {
	if meta == nil {
		return nil
	}
	return func(text json.RawMessage) error {
		// Nothing is left of the call before.
		var told M
		if err := json.Unmarshal(text, &told); err != nil {
			return err
		}
		*meta = told
		return nil
	}
}

// outcome is a reply's output, or its error. It takes the text over.
func outcome(text []byte, meta metaReader) (json.RawMessage, error) {
	// Of most replies the output is all that stands between this and the last brace.
	if meta == nil && bytes.HasPrefix(text, fine) && text[len(text)-1] == '}' {
		if output := text[len(fine) : len(text)-1]; json.Valid(output) {
			return output, nil
		}
	}
	var r reply
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, &Error{Code: "internal", Text: fmt.Sprintf("the reply is not JSON: %v", err), Details: none}
	}
	if r.Status != "ok" {
		return nil, &Error{Code: r.Code, Text: r.Error, Details: r.Details}
	}
	if meta != nil {
		if err := meta(r.Meta); err != nil {
			return nil, &Error{Code: "internal", Text: fmt.Sprintf("the reply's meta: %v", err), Details: none}
		}
	}
	return r.Output, nil
}

var none = json.RawMessage("{}")
