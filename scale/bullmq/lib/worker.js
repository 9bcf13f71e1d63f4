import { Worker } from 'bullmq';
import { Jobs } from './jobs.js';
import { Runtimes } from './runtimes.js';
import { storeOf } from './stores.js';

/** How often a job may lose its worker. BullMQ's own 1 fails a job that has met two restarts. */
const MOST_STALLS = 10;
/** While one job talks to Redis, others run. */
const CONCURRENCY = 4;
/** How long to wait before BullMQ asks again for what a lost connection has failed. */
const RETRY_MS = 1000;

/** A BullMQ worker that runs the jobs of pipelines on an executor. */
export function createWorker({ queue, executor, store, ...options }) {
  if (typeof queue !== 'string' || queue === '') throw new TypeError('createWorker takes the name of a `queue`');
  if (typeof executor?.execute !== 'function')
    throw new TypeError('createWorker takes an `executor` of the package arawn');
  const jobs = new Jobs(executor, new Runtimes(executor, storeOf(store)));
  const process = (job, token, signal) => jobs.process(worker, job, token, signal);
  const defaults = { concurrency: CONCURRENCY, maxStalledCount: MOST_STALLS, runRetryDelay: RETRY_MS };
  const worker = new Worker(queue, process, { ...defaults, ...options });
  worker.on('failed', (job, error) => {
    jobs.ended(worker, job, error).catch((lost) => worker.emit('error', lost));
  });
  return worker;
}
