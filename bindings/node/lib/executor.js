'use strict';
const { ArawnError, outcome } = require('./error.js');
const host = require('./host.js');
const { Jobs } = require('./jobs.js');
const { jsonOf } = require('./json.js');
const { native, number } = require('./native.js');
const { checkOptions } = require('./options.js');
const raw = require('./raw.js');

const CALL = ['config', 'context', 'limits', 'meta', 'raw', 'signal'];
const CALL_SYNC = CALL.filter((option) => option !== 'signal');
/** The function for warnings and progress. It need not be granted. */
const LOG = 'arawn.log';
const REGISTRATION_MS = 600_000;

const ask = (name, request) => outcome(JSON.parse(native.call(number[name], jsonOf(request, 'request'))));
/** The same for a function that waits for the disk: on a thread of libuv's pool. */
const askAside = async (name, request) => outcome(JSON.parse(await native.later(number[name], jsonOf(request, 'request'))));

/** What the constructor gets from `open`: an executor that there is already. */
class Opened {
  constructor(policy) {
    this.policy = policy;
  }
}

function granting(config, hostFunctions) {
  const names = Object.keys(hostFunctions);
  const none = names.find((name) => typeof hostFunctions[name] !== 'function');
  if (none !== undefined) throw new TypeError(`the host function \`${none}\` is not a function`);
  const capabilities = { ...config.capabilities };
  capabilities.host_functions ??= names.filter((name) => name !== LOG);
  return { ...config, capabilities };
}

/** The result of a call's reply. */
function resultOf(reply, options) {
  if (options.raw && reply.code === 'invalid_json') raw.checkTexts(options);
  const output = outcome(reply);
  return options.meta ? { output, meta: reply.meta } : output;
}

class Executor {
  #id;
  #jobs;
  #timeout_ms;
  #tellsStderr;
  /** By the number that the add-on calls them by. */
  #functions = [];
  #closed;

  constructor(config = {}, hostFunctions = {}) {
    const isOpen = config instanceof Opened;
    const policy = isOpen ? config.policy : ask('executorNew', granting(config, hostFunctions));
    this.#id = policy.executor;
    this.#timeout_ms = policy.limits.timeout_ms;
    this.#tellsStderr = policy.stderr_to !== null;
    native.executorOpened(this.#named());
    try {
      for (const [name, f] of Object.entries(hostFunctions)) {
        this.#setHostFunction(name, f, name === LOG || name === policy.stderr_to);
      }
      this.#jobs = new Jobs(this.#id);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  static async open(config = {}, hostFunctions = {}) {
    const policy = await askAside('executorNew', granting(config, hostFunctions));
    return new Executor(new Opened(policy), hostFunctions);
  }

  get id() {
    return this.#id;
  }

  async execute(runtime, options = {}) {
    checkOptions(options, CALL, 'a call');
    const { limits, raw: isRaw, signal } = options;
    signal?.throwIfAborted();
    this.#check();
    const input = inputOf(options);
    const request = (job, timeout_ms) => this.#request(runtime, input, options, job, timeout_ms);
    const timeout_ms = limits?.timeout_ms ?? this.#timeout_ms;
    return resultOf(await this.#jobs.run(request, { isRaw, timeout_ms, signal }), options);
  }

  executeSync(runtime, options = {}) {
    checkOptions(options, CALL_SYNC, 'a call that blocks');
    this.#check();
    const request = this.#request(runtime, inputOf(options), options);
    const reply = options.raw ? raw.execute(request) : JSON.parse(native.call(number.executeRuntime, request));
    if (this.#tellsStderr) this.#jobs.poll();
    return resultOf(reply, options);
  }

  async register(registration, options = {}) {
    checkOptions(options, ['signal'], 'a registration');
    const { signal } = options;
    signal?.throwIfAborted();
    this.#check();
    if ('executor' in registration) throw new TypeError('`executor` is the one that registers');
    const { bytes, ...register } = registration;
    if (bytes !== undefined) {
      if (!(bytes instanceof Uint8Array)) throw new TypeError('`bytes` must be a Uint8Array, such as a Buffer');
      register.wasm_base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    }
    const executor = this.#id;
    const request = (job, left_ms = register.timeout_ms) =>
      jsonOf({ executor, register: { ...register, timeout_ms: left_ms }, job }, 'request');
    const timeout_ms = registration.timeout_ms ?? REGISTRATION_MS;
    return outcome(await this.#jobs.run(request, { timeout_ms, signal }));
  }

  async remove(name) {
    this.#check();
    await askAside('catalogRemove', { executor: this.#id, name });
  }

  async list() {
    this.#check();
    return (await askAside('catalogList', { executor: this.#id })).runtimes;
  }

  async inspect(name) {
    this.#check();
    return askAside('catalogInspect', { executor: this.#id, name });
  }

  async stats() {
    this.#check();
    return askAside('stats', { executor: this.#id });
  }

  close() {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }

  /** The same as `close`, and waits for it: for the disk, for some seconds at most. */
  [Symbol.dispose]() {
    if (this.#closed !== undefined) return;
    this.#closed = Promise.resolve();
    this.#jobs?.stop();
    try {
      ask('executorClose', { executor: this.#id });
      this.#functions.forEach(native.hostFunctionFree);
    } finally {
      this.#end();
    }
  }

  async #close() {
    this.#jobs.stop();
    try {
      await askAside('executorClose', { executor: this.#id });
      // The library calls them no more.
      this.#functions.forEach(native.hostFunctionFree);
    } finally {
      this.#end();
    }
  }

  #end() {
    this.#functions.splice(0).forEach(host.remove);
    this.#jobs?.rejectAll(this.#unknown());
  }

  #setHostFunction(name, f, isTold) {
    const id = host.add(this.#id, f);
    this.#functions.push(id);
    // What a guest writes to stderr is told before its reply: within the poll that hands the reply out.
    const request = { executor: this.#id, name, on: isTold ? 'poll' : 'call', deferred: true };
    outcome(JSON.parse(native.hostFunctionSet(JSON.stringify(request), id)));
  }

  #named() {
    return JSON.stringify({ executor: this.#id });
  }

  #check() {
    if (this.#closed !== undefined) throw this.#unknown();
  }

  /** What becomes of the calls of a closed executor: by now its name may be that of another. */
  #unknown() {
    const details = { executor: this.#id };
    const error = `the executor ${JSON.stringify(this.#id)} is closed`;
    return new ArawnError({ error, code: 'unknown_executor', details });
  }

  #request(runtime, input, { limits, meta }, job, timeout_ms) {
    const tighter = timeout_ms === undefined ? limits : { ...limits, timeout_ms };
    const call = jsonOf({ executor: this.#id, runtime, limits: tighter, job, meta }, 'call');
    return `${call.slice(0, -1)},"input":${input}}`;
  }
}

function inputOf({ config, context, raw: isRaw }) {
  const json = isRaw ? raw.textOf : jsonOf;
  return `{"config":${json(config, 'config', '{}')},"context":${json(context, 'context', '{}')}}`;
}

const configure = (options) => ask('configure', options);
const stats = () => ask('stats', {});
const version = () => native.version();

module.exports = { Executor, configure, stats, version };
