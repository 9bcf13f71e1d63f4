package arawn

import (
	"context"
	"encoding/json"
	"sync"
)

// Job is a call that a worker of the library runs, or a registration.
type Job struct {
	// The executor is not finalized while somebody waits for a job of it.
	executor *Executor
	name     string
	stop     func()
	done     chan struct{}
	output   json.RawMessage
	err      error
}

// Submit begins a call and returns at once; it holds no thread. What is wrong with the call itself, such as an unknown
// runtime, is its result. It ends when ctx does, as with [Executor.Execute].
func (e *Executor) Submit(ctx context.Context, call Call) (*Job, error) {
	name := jobName()
	request, err := e.request(ctx, call, name)
	if err != nil {
		return nil, err
	}
	return e.begin(ctx, name, request)
}

// begin submits a request that has the job's name.
func (e *Executor) begin(ctx context.Context, name string, request any) (*Job, error) {
	job := &Job{executor: e, name: name, done: make(chan struct{})}
	// Before it is submitted, so that no reply comes for a job that is not there.
	job.stop = e.cancelWith(ctx, job.name)
	e.jobs.add(job)
	if _, err := e.ask(submit, request); err != nil {
		if e.jobs.take(job.name) != nil {
			job.stop()
		}
		return nil, err
	}
	e.jobs.begin(e.shared)
	return job, nil
}

// Done is closed once there is a result.
func (j *Job) Done() <-chan struct{} {
	return j.done
}

// Result waits for the call to end, and returns what [Executor.Execute] would have.
func (j *Job) Result() (json.RawMessage, error) {
	<-j.done
	return j.output, j.err
}

// Cancel stops the call: its result is an [*Error] of code "cancelled" within some milliseconds. Nothing happens to one
// that has ended.
func (j *Job) Cancel() {
	j.executor.cancel(j.name)
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
	polling bool
	closed  bool
	poller  sync.WaitGroup
}

func (j *jobs) add(job *Job) {
	j.Lock()
	defer j.Unlock()
	if j.pending == nil {
		j.pending = map[string]*Job{}
	}
	j.pending[job.name] = job
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
	j.polling = len(j.pending) > 0 && !j.closed
	return j.polling
}

func (j *jobs) poll(s *shared) {
	defer j.poller.Done()
	for j.goesOn() {
		output, err := s.ask(poll, map[string]any{"executor": s.id, "wait_ms": 1000})
		var ended struct {
			Finished []struct {
				Job   string
				Reply reply
			}
		}
		if err == nil {
			err = json.Unmarshal(output, &ended)
		}
		if err != nil {
			j.fail(err)
			continue
		}
		for _, finished := range ended.Finished {
			if job := j.take(finished.Job); job != nil {
				job.end(finished.Reply.outcome())
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
