package arawn

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/iotest"
)

type config struct {
	Greeting string `json:"greeting"`
	Times    uint8  `json:"times"`
}

type context struct {
	Names []string `json:"names"`
}

// What greet has not foreseen panics.
func greet(config config, context context) (string, error) {
	if len(context.Names) > 0 && context.Names[0] == "" {
		return "", errors.New("the name is \"\", which is <empty>")
	}
	return strings.Repeat(config.Greeting, int(config.Times)) + context.Names[0], nil
}

func answerTo(t *testing.T, input string) string {
	t.Helper()
	answer, panicked := Respond(strings.NewReader(input), greet)
	if panicked {
		t.Fatalf("%s: panicked: %s", input, answer)
	}
	return string(answer)
}

func TestAnInputIsAnswered(t *testing.T) {
	for input, expected := range map[string]string{
		`{"config":{"greeting":"<&> ","times":2},"context":{"names":["Ada"]}}`: `{"status":"ok","output":"<&> <&> Ada"}`,
		`{"context":{"names":["Ada"],"other":1},"more":null}`:                  `{"status":"ok","output":"Ada"}`,
		`{"context":{"names":[""]}}`:                                           `{"status":"error","error":"the name is \"\", which is <empty>"}`,
	} {
		if answer := answerTo(t, input); answer != expected {
			t.Errorf("%s\nanswered %s\nnot      %s", input, answer, expected)
		}
	}
}

func TestAnInputThatDoesNotFitIsToldWithItsPath(t *testing.T) {
	for input, expected := range map[string]string{
		`{"config":{"times":256}}`:        "config.times must be a whole number of 8 bits, from 0 on, and is 256",
		`{"config":{"times":"2"}}`:        "config.times must be a whole number of 8 bits, from 0 on, and is a string",
		`{"config":{"greeting":true}}`:    "config.greeting must be a string, and is a boolean",
		`{"config":{"greeting":{}}}`:      "config.greeting must be a string, and is an object",
		`{"config":[]}`:                   "config must be an object, and is a list",
		`{"context":{"names":1}}`:         "context.names must be a list, and is a number",
		`{"context":{"names":["a",1.5]}}`: "context.names must be a string, and is a number",
		`[]`:                              "input must be an object, and is a list",
		`{"config":`:                      "input: unexpected end of JSON input",
	} {
		var answer struct{ Status, Error string }
		if err := json.Unmarshal([]byte(answerTo(t, input)), &answer); err != nil {
			t.Fatal(err)
		}
		if answer.Status != "error" || answer.Error != expected {
			t.Errorf("%s\nanswered %s\nnot      %s", input, answer.Error, expected)
		}
	}
}

func TestAPanicIsAnError(t *testing.T) {
	answer, panicked := Respond(strings.NewReader(`{}`), greet)
	expected := `{"status":"error","error":"panicked: runtime error: index out of range [0] with length 0"}`
	if !panicked || string(answer) != expected {
		t.Errorf("%v %s", panicked, answer)
	}
}

func TestAnOutputThatIsNoJSONIsAnError(t *testing.T) {
	infinite := func(map[string]any, any) (float64, error) { return math.Inf(1), nil }
	answer, _ := Respond(strings.NewReader(`{}`), infinite)
	if string(answer) != `{"status":"error","error":"output: json: unsupported value: +Inf"}` {
		t.Error(string(answer))
	}
	none := func(map[string]any, any) (any, error) { return nil, nil }
	if answer, _ = Respond(strings.NewReader(`{}`), none); string(answer) != `{"status":"ok","output":null}` {
		t.Error(string(answer))
	}
}

func TestAnInputThatCannotBeReadIsAnError(t *testing.T) {
	answer, _ := Respond(iotest.ErrReader(errors.New("no luck")), greet)
	if string(answer) != `{"status":"error","error":"stdin cannot be read: no luck"}` {
		t.Error(string(answer))
	}
}

func TestAnErrorOfACallBeginsWithTheName(t *testing.T) {
	_, err := Call[uint64]("stock.level", map[string]string{"sku": "TEA-0042"})
	if err == nil || err.Error() != "stock.level: there is no libarawn around this process" {
		t.Error(err)
	}
	if _, err = Call[uint64]("stock.level", math.NaN()); err == nil || !strings.HasPrefix(err.Error(), "stock.level: json: ") {
		t.Error(err)
	}
}
