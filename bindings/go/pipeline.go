//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
	"runtime"
)

// Pipeline is a document of steps, each of which runs a runtime in a fresh sandbox. It is marshalled as
// arawn_execute_pipeline takes it.
type Pipeline struct {
	Steps []Step `json:"steps"`
	// Output is the step whose output is the pipeline's; "" stands for the last one.
	Output string `json:"output,omitempty"`
}

// Step is one step of a [Pipeline].
type Step struct {
	// Name is unique, without dots, and not "item" or "index". Steps that need this one find its output by it.
	Name    string `json:"name"`
	Runtime string `json:"runtime"`
	// Config is what [Call.Config] is.
	Config any `json:"config"`
	// Needs are the steps to wait for, whose outputs are in the step's context. Nil stands for the step before this
	// one, and an empty list for none.
	Needs []string `json:"needs"`
	// ForEach is the path to a list: the step runs once for each item, which it finds as item and index.
	ForEach string `json:"for_each"`
	// FirstIndex is the index of the first item, for a list that is a part of a longer one.
	FirstIndex int64 `json:"first_index"`
	Retry      Retry `json:"retry"`
	// Limits may be tighter than those of the pipeline, and are for each call of the step.
	Limits Limits `json:"limits"`
}

// Retry is how often a step is tried; the zero value tries once.
type Retry struct {
	// Attempts are the tries in all.
	Attempts int64 `json:"attempts"`
	// DelayMS is the time between two tries.
	DelayMS int64 `json:"delay_ms,omitempty"`
}

// PipelineCall is one run of a pipeline.
type PipelineCall struct {
	// Pipeline is a [Pipeline], or whatever is marshalled to such a document; a json.RawMessage is passed as it stands.
	Pipeline any
	// Context is an object, which each step has in its context. Completed is an object of outputs by the names of their
	// steps, as of an earlier run: these steps do not run. Both are marshalled as [Call.Context] is.
	Context, Completed any
	// Limits may be tighter than the executor's. TimeoutMS is for the whole pipeline, the others for each call.
	Limits Limits
	// Job is a name for [Executor.Cancel], as that of a [Call].
	Job string
	// Meta is filled in where it is not nil and the pipeline succeeds, but by no DryRun.
	Meta *PipelineMeta
	// DryRun checks the document only: the output lists the steps, with what they need. It is not for SubmitPipeline.
	DryRun bool
}

// PipelineMeta is what arawn_execute_pipeline tells of a pipeline.
type PipelineMeta struct {
	TotalUS int64 `json:"total_us"`
	// Steps are those that ran, in the document's order.
	Steps []StepMeta `json:"steps"`
}

// StepMeta tells of a step.
type StepMeta struct {
	Name    string `json:"name"`
	Runtime string `json:"runtime"`
	// The times are in microseconds from the beginning of the pipeline.
	StartedUS int64 `json:"started_us"`
	EndedUS   int64 `json:"ended_us"`
	// Cache is what [Meta.Cache] is; it is empty where there were no items.
	Cache string `json:"cache"`
	// Tries are the calls that the step took.
	Tries int64 `json:"tries"`
	// Items is how many the list had; nil without ForEach.
	Items *int64 `json:"items"`
}

// ExecutePipeline runs a pipeline, waits for it and returns the output of its output step; see [Into]. It ends when ctx
// does, as [Executor.Execute] does. Where a step fails, the [Error.Details] have "step", "index" (of the item, of a
// step with ForEach) and "completed" (the names of the steps that have ended well).
func (e *Executor) ExecutePipeline(ctx context.Context, call PipelineCall) (json.RawMessage, error) {
	defer runtime.KeepAlive(e)
	if call.Job == "" && ctx.Done() != nil {
		call.Job = jobName()
	}
	request := borrow()
	defer request.giveBack()
	if err := e.pipelineRequest(ctx, request, call); err != nil {
		return nil, err
	}
	meta := reader(call.Meta)
	if call.DryRun {
		meta = nil
	}
	return e.execute(ctx, call.Job, request, true, meta)
}

// SubmitPipeline begins a pipeline and returns at once; it holds no thread. What is wrong with the document's shape is
// an error here, and everything else is the job's result. It ends when ctx does, as with [Executor.Execute].
func (e *Executor) SubmitPipeline(ctx context.Context, call PipelineCall) (*Job, error) {
	if call.Job == "" {
		call.Job = jobName()
	}
	request := borrow()
	defer request.giveBack()
	if err := e.pipelineRequest(ctx, request, call); err != nil {
		return nil, err
	}
	return e.begin(ctx, call.Job, reader(call.Meta), request)
}

func (s *shared) pipelineRequest(ctx context.Context, t *text, call PipelineCall) error {
	if err := s.options(ctx, t, call.Job, call.Meta != nil, call.Limits); err != nil {
		return err
	}
	if call.DryRun {
		t.WriteString(`,"dry_run":true`)
	}
	if call.Context != nil {
		if err := t.part("Context", `,"context":`, call.Context); err != nil {
			return err
		}
	}
	if call.Completed != nil {
		if err := t.part("Completed", `,"completed":`, call.Completed); err != nil {
			return err
		}
	}
	if err := t.pipeline(call.Pipeline); err != nil {
		return err
	}
	t.WriteByte('}')
	return nil
}

// pipeline appends the document: that of a Pipeline step by step, since the encoder would take the spaces out of JSON
// that is a text already.
func (t *text) pipeline(document any) error {
	if p, ok := document.(*Pipeline); ok && p != nil {
		document = *p
	}
	p, ok := document.(Pipeline)
	if !ok {
		return t.part("Pipeline", `,"pipeline":`, document)
	}
	t.WriteString(`,"pipeline":{"steps":[`)
	for i, step := range p.Steps {
		if i > 0 {
			t.WriteByte(',')
		}
		if err := t.step(step); err != nil {
			return err
		}
	}
	t.WriteByte(']')
	if p.Output != "" {
		if err := t.part("Output", `,"output":`, p.Output); err != nil {
			return err
		}
	}
	t.WriteByte('}')
	return nil
}

// MarshalJSON leaves out what the zero value stands for. An empty list of needs stays.
func (s Step) MarshalJSON() ([]byte, error) {
	t := borrow()
	defer t.giveBack()
	if err := t.step(s); err != nil {
		return nil, err
	}
	return append([]byte(nil), t.Bytes()...), nil
}

func (t *text) step(s Step) error {
	members := []struct {
		key   string
		value any
		is    bool
	}{
		{`{"name":`, s.Name, true},
		{`,"runtime":`, s.Runtime, true},
		{`,"config":`, s.Config, s.Config != nil},
		{`,"needs":`, s.Needs, s.Needs != nil},
		{`,"for_each":`, s.ForEach, s.ForEach != ""},
		{`,"first_index":`, s.FirstIndex, s.FirstIndex != 0},
		{`,"retry":`, s.Retry, s.Retry != Retry{}},
	}
	for _, member := range members {
		if !member.is {
			continue
		}
		if err := t.part("Config of step "+s.Name, member.key, member.value); err != nil {
			return err
		}
	}
	if err := t.limits(s.Limits); err != nil {
		return err
	}
	t.WriteByte('}')
	return nil
}
