import type { Executor, JsonValue, Json, Limits, Parsed, Pipeline } from 'arawn';
import type { FlowProducer, Job, JobNode, JobsOptions, QueueEvents, Worker, WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';

/** Where workers find the runtimes that they lack. What it gives is checked against the hash. */
export interface Store {
  get(sha256: string, name: string): Promise<Uint8Array | null | undefined>;
  /** `addPipeline` puts runtimes there. A store without it only gives. */
  put?(sha256: string, bytes: Uint8Array): Promise<void>;
}

/** A function is a store that only gives. */
export type StoreOrFunction = Store | Store['get'];

/** Below `<prefix>:arawn:runtime:`; the prefix is by default `bull`. */
export function redisStore(client: Redis, options?: { prefix?: string }): Required<Store>;

/** Files that are named by their hashes. The directory is made by the first `put`. */
export function directoryStore(directory: string): Required<Store>;

/** What a worker needs in order to register a runtime. */
export interface RuntimeReference {
  sha256: string;
  /** Of a script. */
  language?: 'javascript' | 'lua';
  args?: string[];
  config_schema?: JsonValue;
  snapshot?: 'init' | 'off';
}

/** BullMQ's options of a job, but for those that make the flow. */
export type OwnJobOptions = Omit<
  JobsOptions,
  | 'jobId'
  | 'parent'
  | 'failParentOnFailure'
  | 'removeDependencyOnFailure'
  | 'ignoreDependencyOnFailure'
  | 'continueParentOnFailure'
>;

export interface PipelineOptions {
  /** The pipeline's name, which is that of its root job. Adding it again adds nothing. By default a random one. */
  id?: string;
  /** The queue of all jobs that have no other in `steps`; by default `arawn`. */
  queue?: string;
  /**
   * Checks the document, and tells the hashes of runtimes. Without it one is opened, which has the built-in runtimes
   * alone.
   */
  executor?: Executor;
  /** As for `executePipeline`. `limits.timeout_ms` is for each job. */
  context?: { [key: string]: JsonValue | undefined } | Json | string;
  completed?: { [step: string]: JsonValue | Json | undefined };
  limits?: Limits;
  /** Strings of the document, the context and `completed` are JSON already. */
  raw?: boolean;
  /** Instead of what the executor says. Null: what a worker has by this name, whatever its hash. */
  runtimes?: Record<string, RuntimeReference | null>;
  /** Gets the runtimes that are not built in. */
  store?: StoreOrFunction;
  /**
   * How a list is parted: by so many items, or so that a batch takes about so many milliseconds, by default 50. A worker
   * then runs the first items itself to find out.
   */
  batch?: { items?: number; target_ms?: number };
  /** BullMQ's options of all jobs. */
  job?: OwnJobOptions;
  /** BullMQ's options of one step, and its queue. The step is then a job of its own. */
  steps?: Record<string, OwnJobOptions & { queue?: string }>;
  /** How long the result is kept after the end, and the jobs with it; by default a day. */
  ttl_ms?: number;
  /** After which time a job that waits for a step which is not its child looks by itself; by default 10 s. */
  gate_ms?: number;
  /** How long to wait for the queue, by default 10 s. */
  timeout_ms?: number;
}

/**
 * Adds BullMQ's flow of a pipeline, and gives its root, as `FlowProducer.add` does. The promise is rejected with what
 * `executePipeline` would give for the document, or with an ArawnError whose code is
 *
 * - `queue_unavailable`: the queue has not answered in time. Add it again under the same `id`.
 * - `job_exists`: there is another document under the `id`.
 * - `hash_mismatch`: a runtime's file is not what the executor has seen.
 */
export function addPipeline(
  flowProducer: FlowProducer,
  document: Pipeline | Json | string,
  options?: PipelineOptions,
): Promise<JobNode>;

export interface PipelineWorkerOptions extends WorkerOptions {
  queue: string;
  /** Its capabilities are what steps may do. It is not closed with the worker. */
  executor: Executor;
  store?: StoreOrFunction;
}

/**
 * BullMQ's worker for pipelines, with its options. By default, `concurrency` is 4, `maxStalledCount` 10 and
 * `runRetryDelay` one second.
 */
export function createWorker(options: PipelineWorkerOptions): Worker;

/**
 * The output of the pipeline whose root is `job`. What it throws is what `executePipeline` would, with the same text,
 * code and details; or an ArawnError with the code
 *
 * - `unfinished`: the pipeline has not ended.
 * - `job_failed`: a job has failed without being run, such as one that has lost too many workers.
 * - `unknown_job`: there is no such pipeline, or its result has expired.
 * - `runtime_unavailable`, `hash_mismatch`: a worker lacks a runtime, and its store has none or another one.
 * - `cancelled`: `Worker.cancelJob` has stopped a job.
 */
export function result(job: Job, options: { raw: true }): Promise<string>;
export function result(job: Job, options?: { raw?: boolean }): Promise<Parsed>;

/** The same as the text of the library's reply. */
export function reply(job: Job): Promise<string>;

/** Waits for the end, and gives `result`. After `timeout_ms` its code is `timeout`; the pipeline goes on. */
export function waitForPipeline(
  job: Job,
  queueEvents: QueueEvents,
  options: { raw: true; timeout_ms?: number },
): Promise<string>;
export function waitForPipeline(
  job: Job,
  queueEvents: QueueEvents,
  options?: { raw?: boolean; timeout_ms?: number },
): Promise<Parsed>;
