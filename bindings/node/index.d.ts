/// <reference lib="esnext.disposable" />

/** What an executor may do: the argument of arawn_executor_new, word for word. */
export interface Config {
  id?: string;
  runtimes_dir?: string;
  cache_dir?: string | null;
  limits?: ExecutorLimits;
  /** When calls learn that files of the catalog have changed on disk. */
  reload?: 'always' | 'never' | { within_ms: number };
  capabilities?: {
    dirs?: { host: string; guest: string; write?: boolean; bytes?: number | null }[];
    env?: Record<string, string>;
    http?: { allow: string[]; allow_private?: boolean };
    /** Without it the names of the functions that the executor is given. */
    host_functions?: string[];
  };
  /** The one of `host_functions` that is told each line that a guest writes to stderr, as a `StderrLine`. */
  stderr_to?: string | null;
  deterministic?: { seed: number; unix_time: number };
}

/** What the function that `stderr_to` names is called with. */
export interface StderrLine {
  runtime: string;
  /** `execute` makes a name for each call. */
  job: string | null;
  /** Null where `dropped` is there. */
  line: string | null;
  /** There and true where the line goes on in the next message. */
  partial?: boolean;
  /** How many lines of the call were not told. */
  dropped?: number;
}

export interface Limits {
  timeout_ms?: number;
  memory_bytes?: number;
  output_bytes?: number;
  stderr_bytes?: number;
  module_bytes?: number;
  fuel?: number | null;
}

/** What one call may use, and what all calls of an executor may use together. */
export interface ExecutorLimits extends Limits {
  calls?: number | null;
  cpu_ms_per_s?: number | null;
  memory_total_bytes?: number | null;
  reply_bytes?: number;
}

/** What can be written as JSON. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | JsonValue[]
  | { [key: string]: JsonValue | undefined }
  | { toJSON(key?: any): any };

/**
 * What JSON.parse made of a guest's JSON. It rounds numbers to those that JavaScript has: 9007199254740993 is
 * 9007199254740992. Where that matters, see `raw` of a call, and the second argument of a host function.
 */
export type Parsed = any;

/**
 * What guests call by name. What it returns or promises, and the message of what it throws, reaches the guest. It runs
 * between other events, on the thread that made the executor; for `executeSync` and `executePipelineSync`, within that
 * call, and it must not promise then. While `executePipelineSync` waits, so do functions that guests of other calls ask.
 * Its time counts against the deadline of the call. `text` is the request as the guest wrote it; what
 * keeps every digit of the answer is a `Json`.
 *
 * Two names are special. `arawn.log` gets the library's warnings and the progress of registrations, and need not be
 * granted. The function that `stderr_to` names gets each `StderrLine`. Nobody waits for what these two return.
 */
export type HostFunction = (request: Parsed, text: string) => Answer | PromiseLike<Answer>;
export type Answer = JsonValue | Json | undefined | void;
export type HostFunctions = Record<string, HostFunction>;

/** The options of a call that blocks. */
export interface CallSync {
  /**
   * Each reaches the guest as {} where it is undefined. What JSON has not, such as NaN or a Map, is a TypeError that
   * has the path to it.
   */
  config?: JsonValue | Json;
  context?: JsonValue | Json;
  /** May be tighter than the executor's. */
  limits?: Limits;
  /** The result then has the output and figures of the call. */
  meta?: boolean;
  /**
   * JSON is a text, in and out, with every digit. A config or context that is a string is its JSON, and the output is its
   * JSON as the guest wrote it. Text that is not JSON is a SyntaxError.
   */
  raw?: boolean;
}

export interface Call extends CallSync {
  /** Stops the call. The promise is rejected with the signal's reason, some milliseconds after it. */
  signal?: AbortSignal;
}

/** Figures of a call, as arawn_execute_runtime tells them. */
export interface Meta {
  runtime: string;
  module_sha256: string;
  /** Where the compiled module came from. */
  cache: 'memory' | 'disk' | 'compiled';
  script_sha256?: string;
  snapshot?: { restored: boolean; memory_bytes?: number; problem?: string };
  load_us: number;
  queue_us: number;
  run_us: number;
  total_us: number;
  memory_bytes: number;
  fuel: number | null;
  stderr: string;
}

export interface WithMeta<Output> {
  output: Output;
  meta: Meta;
}

/** A document of steps that run runtimes and hand their outputs on, as arawn_execute_pipeline has it. */
export interface Pipeline {
  steps: Step[];
  /** The step whose output is the pipeline's; without it, the last one. */
  output?: string;
}

export interface Step {
  /** Unique, without dots, and not `item` or `index`. */
  name: string;
  runtime: string;
  /** {} where it is undefined. A Json keeps every digit. */
  config?: JsonValue | Json;
  /** The steps to wait for, whose outputs the context has. Without it, the step before this one; [] is none. */
  needs?: string[];
  /** The path to a list in the context, such as `fetch.body.items`: the step runs once for each item. */
  for_each?: string;
  /** The index of the list's first item, by default 0. */
  first_index?: number;
  /** How many tries a step has in all, and the time between two of them. */
  retry?: { attempts: number; delay_ms?: number };
  /** For each call of the step: they may be tighter than the pipeline's. */
  limits?: Limits;
}

/** The options of a pipeline that blocks. */
export interface PipelineCallSync {
  /** What all steps find in their contexts, beside the outputs of the steps that they need: an object. */
  context?: { [key: string]: JsonValue | undefined } | Json;
  /** The outputs of steps that are known already, by their names. These steps do not run. */
  completed?: { [step: string]: JsonValue | Json | undefined };
  /** May be tighter than the executor's. `timeout_ms` is for the whole pipeline, the others are for each call. */
  limits?: Limits;
  /** The result then has the output and figures of the pipeline. */
  meta?: boolean;
  /**
   * JSON is a text, in and out, with every digit. The context, an output of `completed` or the document is its JSON if it
   * is a string, and the output is its JSON as the guest wrote it. Text that is not JSON is a SyntaxError.
   */
  raw?: boolean;
  /** Only the document's shape is checked, and nothing runs: the result is the plan, also with `meta` and `raw`. */
  dryRun?: boolean;
}

export interface PipelineCall extends PipelineCallSync {
  /** Stops the calls of all steps. The promise is rejected with the signal's reason, some milliseconds after it. */
  signal?: AbortSignal;
}

/** The same where the context and the document may be texts. */
export type Raw<Options extends PipelineCallSync> = Omit<Options, 'context' | 'raw'> & {
  context?: Options['context'] | string;
  raw: true;
};
export type Document = Pipeline | Json;
export type RawDocument = Document | string;

/** What a dry run tells: the steps in the document's order, and what each of them waits for. */
export interface PipelinePlan {
  steps: { name: string; needs: string[] }[];
  output: string;
}

/** Figures of a pipeline, as arawn_execute_pipeline tells them. */
export interface PipelineMeta {
  total_us: number;
  /** The steps that ran, in the document's order. */
  steps: StepMeta[];
}

export interface StepMeta {
  name: string;
  runtime: string;
  /** From the beginning of the pipeline. */
  started_us: number;
  ended_us: number;
  /** Null where a list had no items. */
  cache: 'memory' | 'disk' | 'compiled' | null;
  tries: number;
  /** There for a step with `for_each`. */
  items?: number;
}

export interface WithPipelineMeta<Output> {
  output: Output;
  meta: PipelineMeta;
}

/** A language of scripts. */
export type Language = 'javascript' | 'lua';

/** What is registered: a file, which is a module or a script; the bytes of a module; or the text of a script. */
export type Source =
  /** `language` is of a script, and may be left out where the file's name ends with .js, .mjs or .lua. */
  | { path: string; language?: Language; bytes?: undefined; script?: undefined; module_of?: undefined }
  | { bytes: Uint8Array; path?: undefined; script?: undefined; module_of?: undefined }
  /** One that does not parse is `script_invalid`, with `line` and `column` in the details. */
  | { script: string; language: Language; path?: undefined; bytes?: undefined; module_of?: undefined }
  /** The module of another runtime, which `args` make a runtime of its own. */
  | { module_of: string; path?: undefined; bytes?: undefined; script?: undefined };

/** A runtime for the catalog in `runtimes_dir`: the argument of arawn_catalog_register without the executor. */
export type Registration = Source & {
  name: string;
  description?: string;
  config_schema?: JsonValue;
  args?: string[];
  env?: Record<string, string>;
  /** Whether calls begin from a snapshot of the initialised runtime. */
  snapshot?: 'init' | 'off';
  /** The text of a request that runs once before the snapshot is made. */
  warm_up?: string;
  shared_random?: boolean;
  replace?: boolean;
  /** The deadline, by default ten minutes. */
  timeout_ms?: number;
};

/** A runtime in a list. */
export interface Listed {
  name: string;
  category: 'builtin' | 'custom';
  description: string;
  has_config_schema: boolean;
}

/** All about a runtime, as arawn_catalog_inspect tells it. */
export interface Inspected {
  name: string;
  category: 'builtin' | 'custom';
  description: string;
  path: string | null;
  args: string[];
  env: Record<string, string>;
  config_schema: Parsed;
  pin: string | null;
  sha256: string | null;
  bytes: number | null;
  kind: 'module' | 'component' | 'script' | null;
  language: Language | null;
  imports: string[] | null;
  capabilities: string[] | null;
  snapshot: { restored: boolean; problem: string | null; memory_bytes: number | null } | null;
  /** Why a call would fail; null: nothing was found. */
  problem: { error: string; code: string } | null;
}

/**
 * Runs runtimes. It belongs to the thread that made it: worker threads make their own, which cost little and share
 * compiled code. It is closed when its thread ends, if not before.
 *
 * A promise of a call keeps the process alive, an executor does not.
 */
export class Executor implements AsyncDisposable, Disposable {
  /**
   * The host functions are granted to the executor's guests, and nothing else but what config says. Where it lists
   * `host_functions`, those alone are granted, and a function that is not among them is refused. The constructor waits
   * for the disk; `open` does not.
   * @throws {ArawnError}
   */
  constructor(config?: Config, hostFunctions?: HostFunctions);

  /** The same, with a promise. */
  static open(config?: Config, hostFunctions?: HostFunctions): Promise<Executor>;

  readonly id: string;

  /**
   * The output of a run in a fresh sandbox. The promise is rejected with an ArawnError, or with the signal's reason.
   * Beyond 1024 calls at once, see `queue` at arawn_configure, calls wait for a place within their deadline. An option
   * that there is not is a TypeError.
   */
  execute(runtime: string, call: Call & { raw: true; meta: true }): Promise<WithMeta<string>>;
  execute(runtime: string, call: Call & { raw: true }): Promise<string>;
  execute(runtime: string, call: Call & { meta: true }): Promise<WithMeta<Parsed>>;
  execute(runtime: string, call?: Call): Promise<Parsed>;

  /**
   * The same, and the thread waits for it: for programs that have nothing else to do, and for the quickest calls.
   * @throws {ArawnError}
   */
  executeSync(runtime: string, call: CallSync & { raw: true; meta: true }): WithMeta<string>;
  executeSync(runtime: string, call: CallSync & { raw: true }): string;
  executeSync(runtime: string, call: CallSync & { meta: true }): WithMeta<Parsed>;
  executeSync(runtime: string, call?: CallSync): Parsed;

  /**
   * The output of a pipeline. Each step runs in a fresh sandbox, and steps that do not wait for each other run at the same
   * time. Where a step fails, the promise is rejected with its ArawnError, whose details then have `step`, `index` of the
   * item, and `completed`: the names of the steps that have ended well.
   */
  executePipeline(document: RawDocument, call: Raw<PipelineCall> & { dryRun: true }): Promise<PipelinePlan>;
  executePipeline(document: Document, call: PipelineCall & { dryRun: true }): Promise<PipelinePlan>;
  executePipeline(document: RawDocument, call: Raw<PipelineCall> & { meta: true }): Promise<WithPipelineMeta<string>>;
  executePipeline(document: RawDocument, call: Raw<PipelineCall>): Promise<string>;
  executePipeline(document: Document, call: PipelineCall & { meta: true }): Promise<WithPipelineMeta<Parsed>>;
  executePipeline(document: Document, call?: PipelineCall): Promise<Parsed>;

  /**
   * The same, and the thread waits for it.
   * @throws {ArawnError}
   */
  executePipelineSync(document: RawDocument, call: Raw<PipelineCallSync> & { dryRun: true }): PipelinePlan;
  executePipelineSync(document: Document, call: PipelineCallSync & { dryRun: true }): PipelinePlan;
  executePipelineSync(document: RawDocument, call: Raw<PipelineCallSync> & { meta: true }): WithPipelineMeta<string>;
  executePipelineSync(document: RawDocument, call: Raw<PipelineCallSync>): string;
  executePipelineSync(document: Document, call: PipelineCallSync & { meta: true }): WithPipelineMeta<Parsed>;
  executePipelineSync(document: Document, call?: PipelineCallSync): Parsed;

  /**
   * Adds a runtime, which no thread of this process waits for meanwhile. A signal stops it as it stops a call, until the
   * catalog is being written.
   */
  register(registration: Registration, options?: { signal?: AbortSignal }): Promise<Inspected>;

  /** Removes a runtime of the catalog. Calls under way finish. */
  remove(name: string): Promise<void>;

  /** The runtimes that there are, by name. */
  list(): Promise<Listed[]>;

  inspect(name: string): Promise<Inspected>;

  /** Figures of the process and of this executor, as arawn_stats tells them. */
  stats(): Promise<Parsed>;

  /** Calls that have no result yet are rejected with `unknown_executor`, as are later ones. */
  close(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void>;
  /** The same as `close`, and waits for it. */
  [Symbol.dispose](): void;
}

/** An error reply of the library. */
export class ArawnError extends Error {
  private constructor();
  /** One of the table in arawn.h. */
  readonly code: string;
  /** The keys that the table lists for the code. */
  readonly details: Record<string, Parsed>;
}

/**
 * JSON as a text, for a whole config, context or document, for an output that is known, or for what a host function
 * returns. It reaches the guest byte for byte: also numbers that JavaScript's cannot hold.
 */
export class Json {
  #private;
  /** @throws {SyntaxError} The text is not JSON. */
  constructor(text: string);
}

/** Sets what the whole process shares, before the first executor: the argument of arawn_configure. */
export function configure(options: Record<string, number | boolean | string>): Parsed;

/** Figures of the process, as arawn_stats tells them. */
export function stats(): Parsed;

/** The library's version, such as "0.1.0". */
export function version(): string;
