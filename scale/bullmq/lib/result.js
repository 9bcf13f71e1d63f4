import { Job } from 'bullmq';
import { failure, replyOf, thrownBy } from './errors.js';
import { PipelineState } from './state.js';

/** The output of the pipeline whose root is `job`, or the error, as an in-process call gives them. */
export async function result(job, { raw = false } = {}) {
  const text = await textOf(job);
  return raw ? text : JSON.parse(text);
}

/** The same as the text of the reply: `{"status":"ok","output":…}` or `{"status":"error",…}`. */
export async function reply(job) {
  try {
    return `{"status":"ok","output":${await textOf(job)}}`;
  } catch (error) {
    return JSON.stringify(replyOf(error));
  }
}

async function textOf(job) {
  const client = await job.queue.backend.client;
  const state = new PipelineState(client, job.prefix, job.data.pipeline);
  const { plan, failure: failed, done } = await state.read(['plan', 'failure', 'done']);
  const pipeline = job.data.pipeline;
  if (plan === null)
    throw failure('unknown_job', `there is no pipeline \`${pipeline}\`, or no longer`, { job: pipeline });
  if (failed === null && done !== null) {
    const output = `out:${JSON.parse(plan).output}`;
    return (await state.read([output]))[output];
  }
  // Until the root has failed, or again once it is tried again, the last word is not spoken.
  const where = await job.getState();
  if (where === 'failed' || where === 'unknown') {
    // The failure was written before the root had failed, and maybe after it was looked for.
    const last = failed ?? (await state.read(['failure'])).failure;
    if (last !== null) throw thrownBy(JSON.parse(last).reply);
    const root = await Job.fromId(job.queue, job.id);
    if (root?.failedReason) throw failure('job_failed', root.failedReason, { job: job.id });
  }
  throw failure('unfinished', `the pipeline \`${pipeline}\` has not ended`, { job: pipeline });
}

/** Waits for the end of the pipeline, and gives its result. `queueEvents` are those of the queue of the root. */
export async function waitForPipeline(job, queueEvents, { timeout_ms, raw } = {}) {
  const names = [`completed:${job.id}`, `failed:${job.id}`];
  let timer;
  let listener;
  const ended = new Promise((resolve, reject) => {
    listener = resolve;
    for (const name of names) queueEvents.on(name, listener);
    if (timeout_ms === undefined) return;
    const late = () =>
      reject(failure('timeout', `the pipeline has not ended within ${timeout_ms} ms`, { job: job.id, timeout_ms }));
    timer = setTimeout(late, timeout_ms);
  });
  // A pipeline may end before anyone listens.
  const before = queueEvents
    .waitUntilReady()
    .then(() => result(job, { raw }))
    .catch((error) => {
      if (error.code !== 'unfinished') throw error;
      return ended.then(() => result(job, { raw }));
    });
  try {
    return await Promise.race([before, ended.then(() => result(job, { raw }))]);
  } finally {
    clearTimeout(timer);
    for (const name of names) queueEvents.off(name, listener);
    before.catch(() => {});
  }
}
