//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
)

type pipelineWay = func(context.Context, PipelineCall) (json.RawMessage, error)

// pipelineWays are the two ways to run a pipeline.
func pipelineWays(e *Executor) map[string]pipelineWay {
	submit := func(ctx context.Context, call PipelineCall) (json.RawMessage, error) {
		job, err := e.SubmitPipeline(ctx, call)
		if err != nil {
			return nil, err
		}
		return job.Result()
	}
	return map[string]pipelineWay{"execute": e.ExecutePipeline, "submit": submit}
}

func picks(name, path string) Step {
	return Step{Name: name, Runtime: "transform", Config: map[string]string{"expression": path}}
}

func lua(name, script string) Step {
	script = "return function(i) " + script + " end"
	return Step{Name: name, Runtime: "lua", Config: map[string]string{"script": script}}
}

// failedStep is what the details of a step's error have.
type failedStep struct {
	Step      string
	Index     *int
	Completed []string
	Path      string
}

func detailsOf(t *testing.T, failure *Error) failedStep {
	t.Helper()
	var details failedStep
	must(t, json.Unmarshal(failure.Details, &details))
	return details
}

func TestOutputsPassFromStepToStep(t *testing.T) {
	e := executor(t, Config{})
	document := Pipeline{Output: "each", Steps: []Step{
		{Name: "first", Runtime: "passthrough", Config: json.RawMessage(`{"n":9007199254740993,  "m":1.0}`)},
		{Name: "other", Runtime: "passthrough", Needs: []string{}},
		{Name: "each", Runtime: "passthrough", ForEach: "list", FirstIndex: 5, Needs: []string{"first"}},
		picks("last", "each.1.context.index"),
	}}
	call := PipelineCall{Pipeline: document, Context: json.RawMessage(`{"list":["a",  12345678901234567890]}`)}
	first := `"first":{"config":{"n":9007199254740993,  "m":1.0},"context":{"list":["a",  12345678901234567890]}}`
	each := `[{"config":{},"context":{` + first + `,"item":"a","index":5}},` +
		`{"config":{},"context":{` + first + `,"item":12345678901234567890,"index":6}}]`
	for name, run := range pipelineWays(e) {
		// What is left of another pipeline goes.
		stale := int64(1)
		meta := PipelineMeta{Steps: []StepMeta{{Items: &stale}, {Items: &stale}, {}, {}, {}}}
		call.Meta, call.Pipeline = &meta, document
		output, err := run(context.Background(), call)
		must(t, err)
		if string(output) != each {
			t.Errorf("%s: %s", name, output)
		}
		if len(meta.Steps) != 4 || meta.Steps[0].Items != nil || *meta.Steps[2].Items != 2 ||
			meta.Steps[2].Tries != 2 || meta.Steps[3].Name != "last" || meta.Steps[3].Runtime != "transform" ||
			meta.Steps[3].Cache == "" ||
			meta.Steps[3].StartedUS < meta.Steps[2].EndedUS || meta.TotalUS < meta.Steps[3].EndedUS {
			t.Errorf("%s: %+v", name, meta)
		}
		last := document
		last.Output = ""
		// A pointer, and what encoding/json makes of it, are the same document.
		text, err := json.Marshal(last)
		must(t, err)
		for _, document := range []any{last, &last, json.RawMessage(text)} {
			number, err := Into[int](run(context.Background(), PipelineCall{Pipeline: document, Context: call.Context}))
			if must(t, err); number != 6 {
				t.Errorf("%s: %d", name, number)
			}
		}
	}
}

func TestTheErrorOfAPipelineTellsTheStep(t *testing.T) {
	e := executor(t, Config{})
	each := lua("each", `if i.context.item == 2 then error("no two", 0) end`)
	each.ForEach, each.Needs = "list", []string{"first", "other"}
	other := Step{Name: "other", Runtime: "passthrough"}
	document := Pipeline{Steps: []Step{{Name: "first", Runtime: "fails"}, other, each}}
	items := map[string]any{"list": []int{1, 1, 1, 2}}
	for name, run := range pipelineWays(e) {
		_, err := run(context.Background(), PipelineCall{Pipeline: document, Context: items})
		failure := wants(t, err, "runtime_error")
		details := detailsOf(t, failure)
		if failure.Text != "step `first`: no luck" || details.Step != "first" || details.Index != nil ||
			len(details.Completed) != 0 {
			t.Errorf("%s: %v %s", name, failure, failure.Details)
		}
		// With its output given, the step does not run.
		completed := map[string]json.RawMessage{"first": json.RawMessage(`12345678901234567890`)}
		_, err = run(context.Background(), PipelineCall{Pipeline: document, Context: items, Completed: completed})
		failure = wants(t, err, "runtime_error")
		details = detailsOf(t, failure)
		if !strings.HasPrefix(failure.Text, "step `each`, item 3: no two") || details.Step != "each" ||
			details.Index == nil || *details.Index != 3 || strings.Join(details.Completed, " ") != "first other" {
			t.Errorf("%s: %v %s", name, failure, failure.Details)
		}
		first := document
		first.Output = "first"
		output, err := run(context.Background(), PipelineCall{
			Pipeline: first, Context: items, Completed: json.RawMessage(`{"first":1.50,"each":0}`)})
		if must(t, err); string(output) != "1.50" {
			t.Errorf("%s: %s", name, output)
		}
		_, err = run(context.Background(), PipelineCall{Pipeline: document, Context: items,
			Completed: map[string]int{"frist": 1}})
		if details = detailsOf(t, wants(t, err, "invalid_request")); details.Path != "completed.frist" {
			t.Errorf("%s: %+v", name, details)
		}
		endless := Pipeline{Steps: []Step{{Name: "endless", Runtime: "loop", Limits: Limits{TimeoutMS: 20}}}}
		_, err = run(context.Background(), PipelineCall{Pipeline: endless})
		if details = detailsOf(t, wants(t, err, "timeout")); details.Step != "endless" ||
			!errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAStepIsTriedAgain(t *testing.T) {
	var tried atomic.Int64
	count := func(json.RawMessage) (any, error) { return tried.Add(1), nil }
	e := executor(t, Config{HostFunctions: map[string]HostFunction{"count": count}})
	late := lua("late", `if arawn.call("count", {}) < 3 then error("not yet", 0) end return "at last"`)
	for name, run := range pipelineWays(e) {
		tried.Store(0)
		late.Retry = Retry{Attempts: 3, DelayMS: 1}
		var meta PipelineMeta
		output, err := run(context.Background(), PipelineCall{Pipeline: Pipeline{Steps: []Step{late}}, Meta: &meta})
		must(t, err)
		if string(output) != `"at last"` || tried.Load() != 3 || meta.Steps[0].Tries != 3 {
			t.Errorf("%s: %s %+v", name, output, meta)
		}
		tried.Store(0)
		late.Retry = Retry{Attempts: 2}
		_, err = run(context.Background(), PipelineCall{Pipeline: Pipeline{Steps: []Step{late}}})
		if details := detailsOf(t, wants(t, err, "runtime_error")); details.Step != "late" || tried.Load() != 2 {
			t.Errorf("%s: %+v, tried %d times", name, details, tried.Load())
		}
	}
}

func TestAPipelineIsCancelledWhileItRuns(t *testing.T) {
	var giveUp func()
	f := func(json.RawMessage) (any, error) {
		giveUp()
		return 0, nil
	}
	e := executor(t, Config{HostFunctions: map[string]HostFunction{"f": f}})
	document := Pipeline{Steps: []Step{
		{Name: "first", Runtime: "passthrough"}, {Name: "asks", Runtime: "ask-and-loop"},
	}}
	isTold := func(name string, err error) {
		t.Helper()
		details := detailsOf(t, wants(t, err, "cancelled"))
		if !errors.Is(err, context.Canceled) || details.Step != "asks" ||
			strings.Join(details.Completed, " ") != "first" {
			t.Errorf("%s: %v, %+v", name, err, details)
		}
	}
	for name, run := range pipelineWays(e) {
		ctx, cancel := context.WithCancel(context.Background())
		giveUp = cancel
		_, err := run(ctx, PipelineCall{Pipeline: document})
		isTold(name, err)
		if _, err = run(ctx, PipelineCall{Pipeline: document}); err != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
		giveUp = func() {
			if err := e.Cancel("nightly"); err != nil {
				t.Error(err)
			}
		}
		_, err = run(context.Background(), PipelineCall{Pipeline: document, Job: "nightly"})
		isTold(name, err)
	}
	inside := make(chan bool, 1)
	giveUp = func() { inside <- true }
	job, err := e.SubmitPipeline(context.Background(), PipelineCall{Pipeline: document, Job: "again"})
	must(t, err)
	_, err = e.SubmitPipeline(context.Background(), PipelineCall{Pipeline: document, Job: "again"})
	wants(t, err, "job_exists")
	<-inside
	select {
	case <-job.Done():
		t.Error("it has no end")
	default:
	}
	job.Cancel()
	_, err = job.Result()
	isTold(job.Name(), err)
}

// Each step waits in its host function for the others.
func TestStepsThatDoNotWaitForEachOtherRunAtTheSameTime(t *testing.T) {
	var inside atomic.Int64
	var all chan struct{}
	e := executor(t, Config{DeferredFunctions: map[string]DeferredFunction{
		"echo": func(context.Context, json.RawMessage) (any, error) {
			if inside.Add(1) == 5 {
				close(all)
			}
			<-all
			return "met", nil
		},
	}})
	none := []string{}
	document := Pipeline{Steps: []Step{
		{Name: "left", Runtime: "echo", Needs: none}, {Name: "right", Runtime: "echo", Needs: none},
		{Name: "items", Runtime: "echo", Needs: none, ForEach: "list"},
		{Name: "last", Runtime: "passthrough", Needs: []string{"left", "right", "items"}},
	}}
	for name, run := range pipelineWays(e) {
		inside.Store(0)
		all = make(chan struct{})
		call := PipelineCall{Pipeline: document, Context: map[string][]int{"list": {1, 2, 3}}}
		output, err := run(context.Background(), call)
		must(t, err)
		met := `{"status":"ok","output":"met"}`
		wanted := `"left":` + met + `,"right":` + met + `,"items":[` + met + `,` + met + `,` + met + `]}}`
		if !strings.HasSuffix(string(output), wanted) {
			t.Errorf("%s: %s", name, output)
		}
	}
}
