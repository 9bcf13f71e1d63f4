// Runs sandboxed WebAssembly runtimes in this process: a thin layer over libarawn's C interface, whose header says all
// that is not said here or in arawn.d.ts. To use it in a program of your own, copy the two files and
// `npm install koffi`.
//
// Calls are submitted to the library's own threads, and this thread asks for their replies between other events, so
// that neither its event loop nor a thread of a pool waits for a guest. The functions of this program that guests call
// run then.
//
// The library is the file that the variable ARAWN_LIBRARY names, or else the installed one.
import koffi from 'koffi';

const INSTALLED = process.platform === 'darwin' ? 'libarawn.0.dylib' : 'libarawn.so.0';
const library = koffi.load(process.env.ARAWN_LIBRARY ?? INSTALLED);

const Reply = koffi.disposable('ArawnReply', 'str', library.func('void arawn_free(void *json)'));
const Callback = koffi.pointer(koffi.proto('void *ArawnHostFunction(const char *request, void *user_data)'));
const named = (name) => library.func(name, Reply, ['str']);

const cancel = named('arawn_cancel');
const catalogRegister = named('arawn_catalog_register');
const configureProcess = named('arawn_configure');
const executorClose = named('arawn_executor_close');
const executorNew = named('arawn_executor_new');
const poll = named('arawn_poll');
const processStats = named('arawn_stats');
const submit = named('arawn_submit');
const hostFunctionSet = library.func('arawn_host_function_set', Reply, ['str', Callback, 'void *']);
const stringNew = library.func('void *arawn_string_new(const char *text)');
const libraryVersion = library.func('str arawn_version()');

/** Polls that found nothing before a timer is used: for about as long as a quick call takes. */
const EAGER_POLLS = 50;
const POLL_MS = 1;

export class ArawnError extends Error {
  constructor({ error, code, details }) {
    super(error);
    this.name = 'ArawnError';
    this.code = code;
    this.details = details;
  }
}

/** JSON as a text, which keeps what JavaScript's numbers cannot. */
export class Json {
  #text;

  constructor(text) {
    JSON.parse(text);
    this.#text = text;
  }

  toString() {
    return this.#text;
  }
}

const jsonOf = (value) => (value instanceof Json ? `${value}` : (JSON.stringify(value) ?? '{}'));

function outcome(reply) {
  if (reply.status === 'ok') return reply.output;
  throw new ArawnError(reply);
}

const ask = (f, request, ...more) => outcome(JSON.parse(f(JSON.stringify(request), ...more)));

/** The same for a function that waits for the disk or the compiler: on a thread of koffi's. */
const askAside = (f, request) =>
  new Promise((resolve, reject) => {
    f.async(JSON.stringify(request), (error, reply) => (error ? reject(error) : resolve(JSON.parse(reply))));
  }).then(outcome);

export const configure = (options) => ask(configureProcess, options);
export const stats = () => ask(processStats, {});
export const version = () => libraryVersion();

export class Executor {
  #id;
  /** What is registered with koffi. */
  #callbacks = [];
  /** What to do with the replies of calls, by job. */
  #waiting = new Map();
  #nextJob = 0;
  #polling = false;
  #emptyPolls = 0;
  #closed;

  static async open(config = {}, hostFunctions = {}) {
    const names = Object.keys(hostFunctions);
    const capabilities = { ...config.capabilities, host_functions: names };
    const executor = new Executor();
    executor.#id = (await askAside(executorNew, { ...config, capabilities })).executor;
    try {
      names.forEach((name) => executor.#setHostFunction(name, hostFunctions[name]));
    } catch (error) {
      await executor.close();
      throw error;
    }
    return executor;
  }

  get id() {
    return this.#id;
  }

  async execute(runtime, { config, context, limits, signal } = {}) {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#unknown();
    const job = `node-${this.#nextJob++}`;
    const call = JSON.stringify({ executor: this.#id, runtime, limits, job });
    const input = `{"config":${jsonOf(config)},"context":${jsonOf(context)}}`;
    outcome(JSON.parse(submit(`${call.slice(0, -1)},"input":${input}}`)));
    const abort = () => this.#closed || cancel(JSON.stringify({ executor: this.#id, job }));
    signal?.addEventListener('abort', abort);
    try {
      return outcome(await this.#replyOf(job));
    } catch (error) {
      throw signal?.aborted && error.code === 'cancelled' ? signal.reason : error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async register(registration) {
    if (this.#closed) throw this.#unknown();
    await askAside(catalogRegister, { ...registration, executor: this.#id });
  }

  close() {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }

  async #close() {
    try {
      await askAside(executorClose, { executor: this.#id });
    } finally {
      this.#callbacks.forEach((callback) => koffi.unregister(callback));
      this.#rejectAll(this.#unknown());
    }
  }

  #setHostFunction(name, f) {
    const callback = koffi.register(answering(f), Callback);
    this.#callbacks.push(callback);
    // JavaScript has one thread: the functions run within its polls.
    ask(hostFunctionSet, { executor: this.#id, name, on: 'poll' }, callback, null);
  }

  /** What becomes of the calls of a closed executor: by now its name may be that of another. */
  #unknown() {
    const details = { executor: this.#id };
    return new ArawnError({ error: 'the executor was closed', code: 'unknown_executor', details });
  }

  #replyOf(job) {
    return new Promise((resolve, reject) => {
      this.#waiting.set(job, { resolve, reject });
      this.#emptyPolls = 0;
      if (!this.#polling) setImmediate(this.#poll);
      this.#polling = true;
    });
  }

  #poll = () => {
    this.#polling = !this.#closed;
    if (!this.#polling) return;
    try {
      const { finished } = ask(poll, { executor: this.#id });
      for (const { job, reply } of finished) {
        this.#waiting.get(job)?.resolve(reply);
        this.#waiting.delete(job);
      }
      this.#emptyPolls = finished.length ? 0 : this.#emptyPolls + 1;
    } catch (error) {
      this.#rejectAll(error);
    }
    this.#polling = this.#waiting.size > 0;
    if (!this.#polling) return;
    if (this.#emptyPolls < EAGER_POLLS) setImmediate(this.#poll);
    else setTimeout(this.#poll, POLL_MS);
  };

  #rejectAll(error) {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    waiting.forEach(({ reject }) => reject(error));
  }
}

/** A callback of C, which no exception leaves. */
function answering(f) {
  return (request) => {
    let reply;
    try {
      const output = f(JSON.parse(request));
      if (output instanceof Promise) throw new TypeError('a host function answers at once, not with a promise');
      reply = { status: 'ok', output: output ?? null };
    } catch (error) {
      reply = { status: 'error', error: String(error?.message ?? error) };
    }
    return stringNew(JSON.stringify(reply));
  };
}
