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
    /** Without it the names of the functions that `Executor.open` is given. */
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
 * What guests call by name. What it returns, and the message of what it throws, reaches the guest. It runs between
 * other events, on the thread that opened the executor, and must not return a promise. `text` is the request as the
 * guest wrote it.
 */
export type HostFunction = (request: Parsed, text: string) => JsonValue | Json | undefined | void;

export interface Call {
  /**
   * Each reaches the guest as {} where it is undefined. What JSON has not, such as NaN or a Map, is a TypeError that
   * has the path to it.
   */
  config?: JsonValue | Json;
  context?: JsonValue | Json;
  /** May be tighter than the executor's. */
  limits?: Limits;
  /** The output is then its JSON, as the guest wrote it: with every digit, also for `new Json` of another call. */
  raw?: boolean;
  /** Stops the call. The promise is rejected with the signal's reason, some milliseconds after it. */
  signal?: AbortSignal;
}

/** A language of scripts. */
export type Language = 'javascript' | 'lua';

/** What is registered: a file, which is a module or a script, or the text of a script. */
export type Source =
  /** `language` is of a script, and may be left out where the file's name ends with .js, .mjs or .lua. */
  | { path: string; language?: Language; script?: undefined }
  /** One that does not parse is `script_invalid`, with `line` and `column` in the details. */
  | { script: string; language: Language; path?: undefined };

/** A runtime for the catalog in `runtimes_dir`: the argument of arawn_catalog_register without the executor. */
export type Registration = Source & {
  name: string;
  description?: string;
  config_schema?: JsonValue;
  args?: string[];
  env?: Record<string, string>;
  replace?: boolean;
  /** The deadline, by default ten minutes. */
  timeout_ms?: number;
};

/**
 * Runs runtimes. It belongs to the thread that opened it: worker threads open their own, which cost little and share
 * compiled code. Close it before its thread ends; nothing else does.
 */
export class Executor implements AsyncDisposable {
  private constructor();

  /**
   * The host functions are granted to the executor's guests, and nothing else but what config says. Where it lists
   * `host_functions`, those alone are granted, and a function that is not among them is refused. The promise is
   * rejected with an ArawnError.
   */
  static open(config?: Config, hostFunctions?: Record<string, HostFunction>): Promise<Executor>;

  readonly id: string;

  /**
   * The output of a run in a fresh sandbox. The promise is rejected with an ArawnError, or with the signal's reason.
   * More than 1024 calls at once are `overloaded`; see `queue` at arawn_configure. An option that there is not is a
   * TypeError.
   */
  execute(runtime: string, call: Call & { raw: true }): Promise<string>;
  execute(runtime: string, call?: Call): Promise<Parsed>;

  /**
   * Adds a runtime, which no thread of this process waits for meanwhile. A signal stops it as it stops a call, until the
   * catalog is being written.
   */
  register(registration: Registration, options?: { signal?: AbortSignal }): Promise<void>;

  /** Calls that have no result yet are rejected with `unknown_executor`, as are later ones. */
  close(): Promise<void>;

  [Symbol.asyncDispose](): Promise<void>;
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
 * JSON as a text, for a whole config or context, or for what a host function returns. It reaches the guest byte for
 * byte: also numbers that JavaScript's cannot hold.
 */
export class Json {
  #private;
  /** @throws {SyntaxError} The text is not JSON. */
  constructor(text: string);
}

/** Sets what the whole process shares, before the first executor: the argument of arawn_configure. */
export function configure(options: Record<string, number | boolean>): Parsed;

/** Figures of the process, as arawn_stats tells them. */
export function stats(): Parsed;

/** The library's version, such as "0.1.0". */
export function version(): string;
