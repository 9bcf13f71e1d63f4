//go:build cgo

package arawn

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Job is a call or a pipeline that a worker of the library runs, or a registration.
type Job struct {
	// The executor is not finalized while somebody waits for a job of it.
	executor *Executor
	name     string
	meta     metaReader
	stop     func()
	done     chan struct{}
	output   json.RawMessage
	err      error
}

// Submit begins a call and returns at once; it holds no thread. What is wrong with the call itself, such as an unknown
// runtime, is its result. It ends when ctx does, as with [Executor.Execute].
func (e *Executor) Submit(ctx context.Context, call Call) (*Job, error) {
	if call.Job == "" {
		call.Job = jobName()
	}
	request := borrow()
	defer request.giveBack()
	if err := e.request(ctx, request, call); err != nil {
		return nil, err
	}
	return e.begin(ctx, call.Job, reader(call.Meta), request)
}

// begin submits a request that has the job's name.
func (e *Executor) begin(ctx context.Context, name string, meta metaReader, request *text) (*Job, error) {
	job := &Job{executor: e, name: name, meta: meta, done: make(chan struct{})}
	// Before it is submitted, so that no reply comes for a job that is not there.
	if !e.jobs.add(job) {
		details, err := json.Marshal(map[string]string{"job": name})
		if err != nil {
			return nil, err
		}
		return nil, &Error{"job_exists", fmt.Sprintf("a job has the name %q already", name), details}
	}
	job.stop = e.cancelWith(ctx, job.name)
	if _, err := request.ask(submit); err != nil {
		if e.jobs.take(job.name) != nil {
			job.stop()
		}
		return nil, e.named(err)
	}
	e.jobs.begin(e.shared)
	return job, nil
}

// Name is the [Call.Job] of the call or the pipeline, or the name that was made up.
func (j *Job) Name() string {
	return j.name
}

// Done is closed once there is a result.
func (j *Job) Done() <-chan struct{} {
	return j.done
}

// Result waits for the call to end, and returns what [Executor.Execute] or [Executor.ExecutePipeline] would have.
func (j *Job) Result() (json.RawMessage, error) {
	<-j.done
	return j.output, j.err
}

// Cancel stops the call: its result is an [*Error] of code "cancelled" within some milliseconds. Nothing happens to one
// that has ended.
func (j *Job) Cancel() {
	_ = j.executor.cancel(j.name)
}

func (j *Job) end(output json.RawMessage, err error) {
	j.stop()
	j.output, j.err = output, err
	close(j.done)
}

// jobs are the submitted calls of an executor that have no result yet. While there are any, a goroutine polls.
type jobs struct {
	sync.Mutex
	pending map[string]*Job
	// runs is whether host functions run within polls, of which there is no end until the executor's.
	runs    bool
	polling bool
	closed  bool
	poller  sync.WaitGroup
}

// add is false where a job has that name.
func (j *jobs) add(job *Job) bool {
	j.Lock()
	defer j.Unlock()
	if j.pending == nil {
		j.pending = map[string]*Job{}
	}
	if j.pending[job.name] != nil {
		return false
	}
	j.pending[job.name] = job
	return true
}

// take is nil for a job that somebody else has taken.
func (j *jobs) take(name string) *Job {
	j.Lock()
	defer j.Unlock()
	job := j.pending[name]
	delete(j.pending, name)
	return job
}

// begin polls for what was submitted, unless a goroutine does.
func (j *jobs) begin(s *shared) {
	j.Lock()
	defer j.Unlock()
	if !j.polling && !j.closed {
		j.polling = true
		j.poller.Add(1)
		go j.poll(s)
	}
}

// goesOn tells whether there is anything to poll for; if not, the next begin starts anew.
func (j *jobs) goesOn() bool {
	j.Lock()
	defer j.Unlock()
	j.polling = (j.runs || len(j.pending) > 0) && !j.closed
	return j.polling
}

func (j *jobs) poll(s *shared) {
	defer j.poller.Done()
	if j.runs {
		// The library tells pollers apart by their threads: a call on any other thread waits for this one.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	for j.goesOn() {
		output, err := s.ask(poll, map[string]any{"executor": s.id, "wait_ms": 1000})
		var ended struct {
			Finished []struct {
				Job   string
				Reply json.RawMessage
			}
		}
		if err == nil {
			err = json.Unmarshal(output, &ended)
		}
		if err != nil {
			j.fail(err)
			// A child of a fork, for one, would ask in vain without an end.
			time.Sleep(time.Millisecond)
			continue
		}
		for _, finished := range ended.Finished {
			if job := j.take(finished.Job); job != nil {
				job.end(outcome(finished.Reply, job.meta))
			}
		}
	}
}

// close ends all of them once their executor is closed, and returns when nobody polls by its name, which another
// executor may have then.
func (j *jobs) close(err error) {
	j.Lock()
	j.closed = true
	j.Unlock()
	j.poller.Wait()
	j.fail(err)
}

func (j *jobs) fail(err error) {
	j.Lock()
	pending := j.pending
	j.pending = nil
	j.Unlock()
	for _, job := range pending {
		job.end(nil, err)
	}
}
