'use strict';
// The submitted calls of one executor: from arawn_submit to the reply that a poll hands out.
//
// The event loop waits for the descriptor of the executor, and for no timer. It is kept alive while a call has no reply.
// A call for which the executor has no place waits here, first come first served, within its own deadline.
const { ArawnError } = require('./error.js');
const { native, number } = require('./native.js');
const raw = require('./raw.js');

const isOk = (text) => text.startsWith('{"status":"ok"');

class Jobs {
  #executor;
  #watcher;
  #pollRequest;
  #nextJob = 0;
  /** By job: calls that the library has. */
  #submitted = new Map();
  #raw = 0;
  /** Calls that the library has no place for. */
  #queued = [];
  /** Why it has none: its last reply that said so. */
  #full;
  #held = false;

  constructor(executor) {
    this.#executor = executor;
    this.#pollRequest = JSON.stringify({ executor });
    const descriptor = JSON.parse(native.call(number.pollDescriptor, this.#pollRequest));
    if (descriptor.status !== 'ok') throw new ArawnError(descriptor);
    this.#watcher = native.watch(descriptor.output.fd, () => this.poll());
  }

  /**
   * A promise of the parsed reply. `request` makes the request of a job, with a deadline if one is given in its place.
   */
  run(request, { isRaw = false, timeout_ms, signal }) {
    return new Promise((resolve, reject) => {
      const job = `node-${this.#nextJob++}`;
      const call = { job, request, isRaw, timeout_ms, signal, resolve, reject };
      if (this.#queued.length > 0 || !this.#submit(call, request(job))) this.#queue(call);
      if (signal !== undefined && this.#isWaiting(call)) {
        call.abort = () => this.#abort(call);
        signal.addEventListener('abort', call.abort);
      }
    });
  }

  /** Whether a call has no reply yet. */
  get areUnderWay() {
    return this.#submitted.size > 0;
  }

  #isWaiting(call) {
    return call.timer !== undefined || this.#submitted.get(call.job) === call;
  }

  /** False where there is no place for it. */
  #submit(call, request) {
    const text = native.call(number.submit, request);
    if (isOk(text)) {
      this.#submitted.set(call.job, call);
      if (call.isRaw) this.#raw++;
      this.#hold();
      return true;
    }
    const reply = JSON.parse(text);
    const isFull = reply.code === 'overloaded' && ('queue' in reply.details || 'reply_bytes' in reply.details);
    if (isFull && this.#submitted.size > 0) {
      this.#full = reply;
      return false;
    }
    this.#end(call);
    call.resolve(reply);
    return true;
  }

  #queue(call) {
    call.until = performance.now() + call.timeout_ms;
    call.timer = setTimeout(() => {
      const { error, code, details } = this.#full;
      this.#queued.splice(this.#queued.indexOf(call), 1);
      this.#end(call);
      call.reject(new ArawnError({ error, code, details: { ...details, timeout_ms: call.timeout_ms } }));
    }, call.timeout_ms);
    this.#queued.push(call);
  }

  #submitQueued() {
    while (this.#queued.length > 0) {
      const [call] = this.#queued;
      const left = Math.max(1, Math.ceil(call.until - performance.now()));
      if (!this.#submit(call, call.request(call.job, left))) return;
      this.#queued.shift();
      clearTimeout(call.timer);
      call.timer = undefined;
    }
  }

  #abort(call) {
    const at = this.#queued.indexOf(call);
    if (at < 0) {
      // While the executor closes, its name may become that of another.
      const request = JSON.stringify({ executor: this.#executor, job: call.job });
      if (this.#watcher !== undefined) native.call(number.cancel, request);
      return;
    }
    this.#queued.splice(at, 1);
    this.#end(call);
    call.reject(call.signal.reason);
  }

  /** The call has a result. */
  #end(call) {
    clearTimeout(call.timer);
    call.timer = undefined;
    if (call.abort !== undefined) call.signal.removeEventListener('abort', call.abort);
    if (this.#submitted.delete(call.job) && call.isRaw) this.#raw--;
    this.#hold();
  }

  #hold() {
    const held = this.#submitted.size > 0;
    if (held !== this.#held && this.#watcher !== undefined) native.watchHold(this.#watcher, held);
    this.#held = held;
  }

  poll() {
    let finished;
    try {
      finished = this.#finished();
    } catch (error) {
      // The replies are lost: together they were longer than a string can be.
      this.rejectAll(error);
      return;
    }
    // A function that ran within the poll may have closed the executor.
    if (finished === null || this.#watcher === undefined) return;
    for (const { job, reply } of finished) {
      const call = this.#submitted.get(job);
      if (call === undefined) continue;
      this.#end(call);
      if (call.signal?.aborted && reply.code === 'cancelled') call.reject(call.signal.reason);
      else call.resolve(reply);
    }
    if (this.#queued.length > 0) this.#submitQueued();
  }

  #finished() {
    if (this.#raw > 0) return raw.poll(this.#pollRequest, (job) => this.#submitted.get(job)?.isRaw);
    const text = native.call(number.poll, this.#pollRequest);
    return isOk(text) ? JSON.parse(text).output.finished : null;
  }

  /** No descriptor is watched from now on. */
  stop() {
    native.watchStop(this.#watcher);
    this.#watcher = undefined;
  }

  rejectAll(error) {
    for (const call of [...this.#submitted.values(), ...this.#queued.splice(0)]) {
      this.#end(call);
      call.reject(error);
    }
  }
}

module.exports = { Jobs };
