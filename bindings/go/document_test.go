//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestADocumentIsMarshalledAndBack(t *testing.T) {
	source := `{"steps":[{"name":"a","runtime":"r","needs":[],"retry":{"attempts":3,"delay_ms":200}},` +
		`{"name":"b","runtime":"r","config":{"text":"<&>"},"needs":["a"],"for_each":"a.list","first_index":7,` +
		`"limits":{"timeout_ms":500,"fuel":9}},{"name":"c","runtime":"r"}],"output":"b"}`
	var document Pipeline
	must(t, json.Unmarshal([]byte(source), &document))
	written := borrow()
	defer written.giveBack()
	must(t, written.encode(document))
	if written.String() != source {
		t.Error(written.String())
	}
	if document.Steps[0].Needs == nil || document.Steps[2].Needs != nil || document.Steps[0].Retry.Attempts != 3 {
		t.Errorf("%+v", document)
	}
}

func TestADryRunShowsWhatWaitsForWhat(t *testing.T) {
	e := executor(t, Config{})
	document := Pipeline{Output: "a", Steps: []Step{{Name: "a", Runtime: "nobody"}, {Name: "b"}}}
	meta := PipelineMeta{TotalUS: -1}
	call := PipelineCall{Pipeline: document, DryRun: true, Meta: &meta}
	output, err := e.ExecutePipeline(context.Background(), call)
	must(t, err)
	shown := `{"steps":[{"name":"a","needs":[]},{"name":"b","needs":["a"]}],"output":"a"}`
	if string(output) != shown || meta.TotalUS != -1 {
		t.Errorf("%s, %+v", output, meta)
	}
	_, err = e.SubmitPipeline(context.Background(), call)
	if details := detailsOf(t, wants(t, err, "invalid_request")); details.Path != "dry_run" {
		t.Errorf("%+v", details)
	}
}

func TestWhatIsWrongWithADocument(t *testing.T) {
	e := executor(t, Config{})
	step := func(step Step) PipelineCall {
		step.Name, step.Runtime = "a", "passthrough"
		return PipelineCall{Pipeline: Pipeline{Steps: []Step{step}}}
	}
	passthrough := step(Step{})
	tight, deep := passthrough, passthrough
	tight.Limits.TimeoutMS, deep.Context = 300_001, []int{1}
	for name, run := range pipelineWays(e) {
		for path, call := range map[string]PipelineCall{
			"pipeline.steps[0].for_each": step(Step{ForEach: "nobody"}),
			"pipeline.steps[0].forEach": {Pipeline: json.RawMessage(
				`{"steps":[{"name":"a","runtime":"passthrough","forEach":"x"}]}`)},
			"pipeline.steps[0].limits.fuel":       step(Step{Limits: Limits{Fuel: -1}}),
			"pipeline.steps[0].retry.attempts":    step(Step{Retry: Retry{DelayMS: 1}}),
			"pipeline.steps[0].name":              {Pipeline: Pipeline{Steps: []Step{{Runtime: "passthrough"}}}},
			"pipeline.steps":                      {Pipeline: Pipeline{}},
			"limits.timeout_ms":                   tight,
			"context":                             deep,
			"pipeline":                            {},
			"pipeline.steps[0].needs[0]":          step(Step{Needs: []string{"z"}}),
			"pipeline.outputs":                    {Pipeline: map[string]any{"steps": []Step{}, "outputs": "a"}},
			"pipeline.steps[0].limits.calls":      step(Step{Limits: Limits{Calls: 1}}),
			"pipeline.steps[0].retry.delay_ms":    step(Step{Retry: Retry{1, -1}}),
			"pipeline.steps[0].first_index":       step(Step{FirstIndex: -1}),
			"pipeline.steps[0].limits.timeout_ms": step(Step{Limits: tight.Limits}),
		} {
			_, err := run(context.Background(), call)
			if details := detailsOf(t, wants(t, err, "invalid_request")); details.Path != path {
				t.Errorf("%s: %s, not %s: %v", name, details.Path, path, err)
			}
		}
		for text, call := range map[string]PipelineCall{
			"Pipeline is a []byte":         {Pipeline: []byte("{}")},
			"Context is a []byte":          {Pipeline: passthrough.Pipeline, Context: []byte("{}")},
			"Completed is a []byte":        {Pipeline: passthrough.Pipeline, Completed: []byte("{}")},
			"Config of step a is a []byte": step(Step{Config: []byte("{}")}),
			"the request is not JSON":      {Pipeline: json.RawMessage(`{},"context":{}`)},
		} {
			_, err := run(context.Background(), call)
			if err == nil || errors.As(err, new(*Error)) || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q: %v", name, text, err)
			}
		}
	}
	must(t, e.Close())
	for _, run := range pipelineWays(e) {
		_, err := run(context.Background(), passthrough)
		wants(t, err, "unknown_executor")
	}
}
