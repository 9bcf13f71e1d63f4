// What a worker does with a job: by its `kind`, a run of steps, a batch of items, a gate, or the end of a pipeline.
import { ArawnError } from 'arawn';
import { DelayedError, UnrecoverableError, WaitingChildrenError, RateLimitError } from 'bullmq';
import { failure, replyOf } from './errors.js';
import { finishList, runBatch, startList } from './lists.js';
import { PipelineState, batchField } from './state.js';
import { runSteps } from './subdocument.js';

/** Another try of a step can help. */
const WORTH_A_RETRY = ['trap', 'timeout', 'exit', 'runtime_error', 'overloaded'];
/** The job goes on later, and has not failed. */
const LATER = [DelayedError, WaitingChildrenError, RateLimitError];

export class Jobs {
  #executor;
  #runtimes;
  #kinds = { run: this.#run, batch: this.#batch, gate: this.#gate, end: this.#end };

  constructor(executor, runtimes) {
    this.#executor = executor;
    this.#runtimes = runtimes;
  }

  async process(worker, job, token, signal) {
    const kind = this.#kinds[job.data?.kind];
    if (kind === undefined) throw new UnrecoverableError(`the job ${job.id} is not of a pipeline`);
    const client = await worker.getBackend().client;
    const state = new PipelineState(client, job.prefix, job.data.pipeline);
    const found = await state.read(['plan', 'failure', ...fieldsOf(job.data)]);
    if (found.plan === null) throw new UnrecoverableError(`the pipeline ${job.data.pipeline} has gone`);
    const ended = JSON.parse(found.failure);
    if (ended !== null && ended.job !== job.id) return this.#skip(job, ended);
    if (ended !== null) await state.forgive();
    const plan = JSON.parse(found.plan);
    const call = { executor: this.#executor, worker, state, job, token, signal, plan, names: plan.names, found };
    try {
      await kind.call(this, call);
    } catch (error) {
      if (LATER.some((later) => error instanceof later)) throw error;
      // Another worker has had the job as well, and its output counts.
      if ((await state.present(outputsOf(job.data))).length > 0) return openGates(worker, job);
      throw await this.#failed(
        call,
        signal?.aborted ? failure('cancelled', `the job was cancelled: ${signal.reason}`) : error,
      );
    }
  }

  /** After a job has failed: it may have done so without being run, such as one that has lost too many workers. */
  async ended(worker, job, error) {
    if (job?.finishedOn === undefined) return;
    const state = new PipelineState(await worker.getBackend().client, job.prefix, job.data.pipeline);
    const reply = replyOf(failure('job_failed', error.message, { job: job.id }));
    await state.fail({ job: job.id, reply }, job.data.ttl_ms, outputsOf(job.data));
    await openGates(worker, job);
  }

  /** The pipeline has failed elsewhere. What would start its parent must not complete. */
  #skip(job, { reply }) {
    if (job.data.kind === 'batch') return;
    throw new UnrecoverableError(`not run, because the pipeline has failed: ${reply.code}: ${reply.error}`);
  }

  async #run(call) {
    const { state, job, worker, found } = call;
    const last = job.data.steps.at(-1);
    if (found[`out:${last}`] === null) {
      const { output, without } = await (job.data.for_each === undefined ? this.#steps(call) : this.#list(call));
      const ttl_ms = job.data.is_root ? job.data.ttl_ms : 0;
      const isStored = await state.storeOnce(`out:${last}`, output, { without, ttl_ms });
      if (!isStored) throw failure('unknown_job', 'the pipeline has gone', { pipeline: job.data.pipeline });
    }
    await openGates(worker, job);
  }

  async #steps(call) {
    const { found, names, signal, job } = call;
    const inputs = await inputsOf(call, found);
    const steps = job.data.steps.map((name) => ({ name, text: found[`step:${name}`] }));
    return { output: await this.#pinned(call, () => runSteps(this.#executor, steps, inputs, { names, signal })) };
  }

  async #list(call) {
    const { found, state, job } = call;
    const split = `split:${job.data.steps[0]}`;
    if (found[split] === null) {
      const inputs = await inputsOf(call, await state.read(inputFields(job.data)));
      const { output, fields } = await this.#pinned(call, () => startList({ ...call, inputs }));
      if (output !== undefined) return { output };
      // Of two workers that have the job, one parts the list.
      await state.writeOnce(fields);
      found[split] = (await state.read([split]))[split];
    }
    return finishList({ ...call, split: JSON.parse(found[split]) });
  }

  async #batch(call) {
    const { found, state, job } = call;
    if (outputsOf(job.data).some((field) => found[field] !== null)) return;
    const inputs = await inputsOf(call, found);
    const output = await this.#pinned(call, () => runBatch({ ...call, inputs }));
    await state.storeOnce(batchField('part', job.data.batch, job.data.steps[0]), output);
  }

  async #gate({ job, token, found }) {
    const { step, gate_ms } = job.data;
    if (found[`out:${step}`] !== null) return;
    await job.moveToDelayed(Date.now() + gate_ms, token);
    throw new DelayedError();
  }

  async #end({ state, job }) {
    await state.storeOnce('done', '1', { ttl_ms: job.data.ttl_ms });
  }

  #pinned({ state, job }, run) {
    const reference = async (name) => JSON.parse((await state.read([`runtime:${name}`]))[`runtime:${name}`]);
    return this.#runtimes.hold(job.data.runtimes, reference, run);
  }

  /** What BullMQ is told of an error, which is kept for the caller once no try is left. */
  async #failed({ state, job, plan }, error) {
    const reply = replyOf(error);
    const text = `${reply.code}: ${reply.error}`;
    const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    const isOver = error instanceof ArawnError && !WORTH_A_RETRY.includes(error.code);
    if (!isLast && !isOver) return new Error(text);
    if (Array.isArray(reply.details.completed))
      reply.details.completed = await completedOf(state, plan, reply.details.completed);
    await state.fail({ job: job.id, reply }, job.data.ttl_ms, outputsOf(job.data));
    return new UnrecoverableError(text);
  }
}

/** What a job reads at once. A step with a list reads its inputs later: it may have batches already. */
function fieldsOf(data) {
  const { kind, steps = [data.step], batch, for_each } = data;
  const last = steps.at(-1);
  const texts = steps.map((step) => `step:${step}`);
  if (kind === 'gate') return [`out:${last}`];
  if (kind === 'batch') {
    const ofBatch = ['item', 'part'].map((name) => batchField(name, batch, last));
    return [`out:${last}`, `split:${last}`, ...texts, ...ofBatch, ...inputFields(data)];
  }
  if (kind !== 'run') return [];
  return [`out:${last}`, ...texts, ...(for_each === undefined ? inputFields(data) : [`split:${last}`])];
}

/** A batch has the text that holds the list from elsewhere. */
function inputFields({ needs, holder }) {
  const others = needs.filter((name) => name !== holder).map((name) => `out:${name}`);
  return [...(holder === null ? [] : ['context']), 'limits', ...others];
}

/** What the steps are given, as texts. */
async function inputsOf({ job, token }, found) {
  const needs = job.data.needs.filter((name) => name !== job.data.holder);
  const missing = needs.find((name) => found[`out:${name}`] === null);
  if (missing !== undefined) {
    // Someone has retried the job before those that it needs.
    if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
    throw failure('unknown_job', `there is no output of step \`${missing}\``, { step: missing });
  }
  const completed = Object.fromEntries(needs.map((name) => [name, found[`out:${name}`]]));
  return { context: found.context ?? '{}', limits: JSON.parse(found.limits) ?? undefined, completed };
}

/** The fields of which one is there once the job's work is done. */
function outputsOf({ kind, step, steps = [step], batch }) {
  if (kind === 'end') return ['done'];
  const output = `out:${steps.at(-1)}`;
  return kind === 'batch' ? [output, batchField('part', batch, steps[0])] : [output];
}

/** In the document's order: what other jobs have completed, and what the failed one has. */
async function completedOf(state, { names, runs }, own) {
  const stored = await state.present(names.map((name) => `out:${name}`));
  const last = new Set(stored.map((field) => field.slice('out:'.length)));
  const completed = new Set([...own, ...last, ...runs.filter((run) => last.has(run.at(-1))).flat()]);
  return names.filter((name) => completed.has(name));
}

/** Those who need the run's output besides its parent go on. */
async function openGates(worker, job) {
  for (const gate of job.data.gates ?? []) {
    try {
      await worker.getBackend().promote(gate);
    } catch {
      // It is not delayed: it looks by itself, or has done so.
    }
  }
}
