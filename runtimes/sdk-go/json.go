package arawn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// parse reads a RuntimeInput.
func parse[Config, Context any](input []byte) (config Config, context Context, err error) {
	var parts struct {
		Config  json.RawMessage `json:"config"`
		Context json.RawMessage `json:"context"`
	}
	if err = json.Unmarshal(input, &parts); err != nil {
		return config, context, told("input", err)
	}
	if err = part("config", parts.Config, &config); err == nil {
		err = part("context", parts.Context, &context)
	}
	return config, context, err
}

func part(name string, text json.RawMessage, value any) error {
	if text == nil {
		text = json.RawMessage("{}")
	}
	if err := json.Unmarshal(text, value); err != nil {
		return told(name, err)
	}
	return nil
}

// told says an error of encoding/json in words of JSON, with the path of the value, which is in name.
func told(name string, err error) error {
	var mistyped *json.UnmarshalTypeError
	if !errors.As(err, &mistyped) {
		return fmt.Errorf("%s: %w", name, err)
	}
	path := name
	if mistyped.Field != "" {
		path += "." + mistyped.Field
	}
	return fmt.Errorf("%s must be %s, and is %s", path, kind(mistyped.Type), found(mistyped.Value))
}

// found is what a value of the wrong type is.
func found(is string) string {
	// A number that is out of range is told with its digits.
	if strings.HasPrefix(is, "number ") {
		return strings.TrimPrefix(is, "number ")
	}
	switch is {
	case "array":
		return "a list"
	case "bool":
		return "a boolean"
	case "object":
		return "an object"
	default:
		return "a " + is
	}
}

// kind is what a type of Go is in JSON.
func kind(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("a whole number of %d bits", of.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return fmt.Sprintf("a whole number of %d bits, from 0 on", of.Bits())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return kind(of.Elem())
	default:
		return "a value of " + of.String()
	}
}

func success(output any) ([]byte, error) {
	return encoded(`{"status":"ok","output":`, output)
}

func failure(text string) []byte {
	// A string can be encoded, whatever its bytes are.
	answer, _ := encoded(`{"status":"error","error":`, text)
	return answer
}

// encoded writes an envelope around a value, with <, > and & as they are.
func encoded(prefix string, value any) ([]byte, error) {
	var answer bytes.Buffer
	answer.WriteString(prefix)
	encoder := json.NewEncoder(&answer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	// In place of the newline that Encode adds.
	answer.Bytes()[answer.Len()-1] = '}'
	return answer.Bytes(), nil
}
