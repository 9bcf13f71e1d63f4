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

/** The JSON of a value; of `undefined` what is given for it. `name` is what errors call the value. */
function jsonOf(value, name, otherwise) {
  if (value instanceof Json) return `${value}`;
  if (value === undefined) return otherwise;
  checkValue(value, name, []);
  return JSON.stringify(value) ?? otherwise;
}

/** What JSON.stringify would leave out, or turn into null or {}, is refused with the path to it. */
function checkValue(value, path, around) {
  const refuse = (what) => {
    throw new TypeError(`${path} is ${what}`);
  };
  if (typeof value === 'number' && !Number.isFinite(value)) refuse(`${value}, which JSON has not`);
  if (typeof value === 'bigint') refuse('a bigint: pass a number, a string, or all of it as a Json');
  if (['function', 'symbol', 'undefined'].includes(typeof value)) refuse(`${typeof value}, which JSON has not`);
  if (typeof value !== 'object' || value === null || typeof value.toJSON === 'function') return;
  if (value instanceof Json) refuse('a Json within another value: it stands for the whole');
  if (around.includes(value)) refuse('within itself');
  around.push(value);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) checkValue(value[index], `${path}[${index}]`, around);
  } else {
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    if (tag !== 'Object') refuse(`a ${tag}, which JSON has not`);
    for (const key of Object.keys(value)) {
      if (value[key] !== undefined) checkValue(value[key], `${path}.${key}`, around);
    }
  }
  around.pop();
}

function skipSpace(text, at) {
  while (' \t\r\n'.includes(text[at])) at++;
  return at;
}

/** Visits members or items in a text of the library's: the key, and where the value begins and ends. */
function* partsOf(text, at) {
  const isObject = text[at] === '{';
  for (at = skipSpace(text, at + 1); !'}]'.includes(text[at]); at = skipSpace(text, at + 1)) {
    let key;
    if (isObject) {
      const end = endOfString(text, at);
      key = text.slice(at + 1, end - 1);
      at = skipSpace(text, text.indexOf(':', end) + 1);
    }
    const end = endOfValue(text, at);
    yield [key, at, end];
    at = skipSpace(text, end);
    if (text[at] !== ',') return;
  }
}

function endOfString(text, at) {
  for (;;) {
    at = text.indexOf('"', at + 1);
    let escapes = at;
    while (text[escapes - 1] === '\\') escapes--;
    if ((at - escapes) % 2 === 0) return at + 1;
  }
}

function endOfValue(text, at) {
  const mark = /["{}[\],]/g;
  for (let depth = 0; ; ) {
    mark.lastIndex = at;
    const found = mark.exec(text);
    if (found[0] === '"') at = endOfString(text, found.index);
    else if ('{['.includes(found[0])) [depth, at] = [depth + 1, found.index + 1];
    else if (found[0] === ',' && depth > 0) at = found.index + 1;
    else if (depth === 0) return found.index;
    else [depth, at] = [depth - 1, found.index + 1];
    if (depth === 0) return at;
  }
}

const partOf = (text, at, wanted) => {
  for (const [key, begin, end] of partsOf(text, at)) if (key === wanted) return [begin, end];
};

/** The output of a reply of the library's, as the guest wrote it. */
function rawOutcome(text) {
  if (!text.startsWith('{"status":"ok"')) return outcome(JSON.parse(text));
  return text.slice(...partOf(text, 0, 'output')).trim();
}

/** The replies of a poll, each parsed, or as it is for the jobs that are `raw`. */
function finishedIn(text, isRaw) {
  if (!isRaw) return outcome(JSON.parse(text)).finished;
  if (!text.startsWith('{"status":"ok"')) return outcome(JSON.parse(text));
  const [finished] = partOf(text, partOf(text, 0, 'output')[0], 'finished');
  return Array.from(partsOf(text, finished), ([, begin]) => {
    const job = JSON.parse(text.slice(...partOf(text, begin, 'job')));
    const reply = text.slice(...partOf(text, begin, 'reply'));
    return { job, reply: isRaw(job) ? reply : JSON.parse(reply) };
  });
}

/** The options of a call. */
const OPTIONS = ['config', 'context', 'limits', 'raw', 'signal'];

function checkOptions(call) {
  const known = OPTIONS.join(', ');
  if (typeof call !== 'object' || call === null) throw new TypeError(`a call's options are an object: ${known}`);
  const unknown = Object.keys(call).find((option) => !OPTIONS.includes(option));
  if (unknown !== undefined) throw new TypeError(`a call has no option \`${unknown}\`; it has: ${known}`);
}

function outcome(reply) {
  if (reply.status === 'ok') return reply.output;
  throw new ArawnError(reply);
}

const ask = (f, request, ...more) => outcome(JSON.parse(f(jsonOf(request, 'request'), ...more)));

/** The same for a function that waits for the disk: on a thread of koffi's. */
const askAside = (f, request) =>
  new Promise((resolve, reject) => {
    f.async(jsonOf(request, 'request'), (error, reply) => (error ? reject(error) : resolve(JSON.parse(reply))));
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
    const none = names.find((name) => typeof hostFunctions[name] !== 'function');
    if (none !== undefined) throw new TypeError(`the host function \`${none}\` is not a function`);
    const capabilities = { ...config.capabilities };
    capabilities.host_functions ??= names;
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

  async execute(runtime, options = {}) {
    checkOptions(options);
    const { config, context, limits, raw = false, signal } = options;
    signal?.throwIfAborted();
    if (this.#closed) throw this.#unknown();
    const job = `node-${this.#nextJob++}`;
    const call = jsonOf({ executor: this.#id, runtime, limits, job }, 'call');
    const input = `{"config":${jsonOf(config, 'config', '{}')},"context":${jsonOf(context, 'context', '{}')}}`;
    return this.#submitted(job, `${call.slice(0, -1)},"input":${input}}`, raw, signal);
  }

  async register(registration, { signal } = {}) {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#unknown();
    if ('executor' in registration) throw new TypeError('`executor` is the one that registers');
    const job = `node-${this.#nextJob++}`;
    await this.#submitted(job, jsonOf({ executor: this.#id, register: registration, job }, 'request'), false, signal);
  }

  /** The output of a job, whose name the request has. */
  async #submitted(job, request, raw, signal) {
    outcome(JSON.parse(submit(request)));
    const abort = () => this.#closed || cancel(JSON.stringify({ executor: this.#id, job }));
    signal?.addEventListener('abort', abort);
    try {
      return (raw ? rawOutcome : outcome)(await this.#replyOf(job, raw));
    } catch (error) {
      throw signal?.aborted && error.code === 'cancelled' ? signal.reason : error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
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
    const error = `the executor ${JSON.stringify(this.#id)} is closed`;
    return new ArawnError({ error, code: 'unknown_executor', details });
  }

  #replyOf(job, raw) {
    return new Promise((resolve, reject) => {
      this.#waiting.set(job, { resolve, reject, raw });
      this.#emptyPolls = 0;
      if (!this.#polling) setImmediate(this.#poll);
      this.#polling = true;
    });
  }

  #poll = () => {
    this.#polling = !this.#closed;
    if (!this.#polling) return;
    try {
      const isRaw = [...this.#waiting.values()].some(({ raw }) => raw);
      const polled = poll(JSON.stringify({ executor: this.#id }));
      const finished = finishedIn(polled, isRaw && ((job) => this.#waiting.get(job)?.raw));
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
      const output = f(JSON.parse(request), request);
      if (output instanceof Promise) throw new TypeError('a host function answers at once, not with a promise');
      reply = `{"status":"ok","output":${jsonOf(output, 'output', 'null')}}`;
    } catch (error) {
      reply = JSON.stringify({ status: 'error', error: String(error?.message ?? error) });
    }
    return stringNew(reply);
  };
}
