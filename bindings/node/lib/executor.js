'use strict';
const { ArawnError, outcome } = require('./error.js');
const host = require('./host.js');
const { Jobs } = require('./jobs.js');
const { jsonOf } = require('./json.js');
const { native, number } = require('./native.js');
const { checkOptions } = require('./options.js');
const raw = require('./raw.js');
const { callOf, pipelineOf } = require('./requests.js');

const CALL = ['config', 'context', 'limits', 'meta', 'raw', 'signal'];
const PIPELINE = ['context', 'completed', 'limits', 'meta', 'raw', 'signal', 'dryRun'];
const [CALL_SYNC, PIPELINE_SYNC] = [CALL, PIPELINE].map((options) => options.filter((option) => option !== 'signal'));
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

/** The result of the reply to a call or a pipeline. */
function resultOf(reply, options, { texts }) {
  if (options.raw && reply.code === 'invalid_json') raw.checkTexts(texts);
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
    this.#check(options.signal);
    const call = callOf(runtime, options);
    return resultOf(await this.#submit(call, options), options, call);
  }

  executeSync(runtime, options = {}) {
    checkOptions(options, CALL_SYNC, 'a call that blocks');
    this.#check();
    const call = callOf(runtime, options);
    return resultOf(this.#ask(call, options), options, call);
  }

  async executePipeline(document, options = {}) {
    checkOptions(options, PIPELINE, 'a pipeline');
    this.#check(options.signal);
    const pipeline = pipelineOf(document, options);
    if (options.dryRun) return this.#plan(pipeline, options);
    return resultOf(await this.#submit(pipeline, options), options, pipeline);
  }

  executePipelineSync(document, options = {}) {
    checkOptions(options, PIPELINE_SYNC, 'a pipeline that blocks');
    this.#check();
    const pipeline = pipelineOf(document, options);
    if (options.dryRun) return this.#plan(pipeline, options);
    const ask = () => this.#ask(pipeline, options);
    // A promise of a host function may be for a call that is under way, and is not refused then.
    const reply = this.#jobs.areUnderWay ? ask() : host.blocking(this.#id, ask);
    return resultOf(reply, options, pipeline);
  }

  async register(registration, options = {}) {
    checkOptions(options, ['signal'], 'a registration');
    const { signal } = options;
    this.#check(signal);
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

  #check(signal) {
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw this.#unknown();
  }

  /** What becomes of the calls of a closed executor: by now its name may be that of another. */
  #unknown() {
    const details = { executor: this.#id };
    const error = `the executor ${JSON.stringify(this.#id)} is closed`;
    return new ArawnError({ error, code: 'unknown_executor', details });
  }

  /** A promise of the parsed reply. */
  #submit(call, options) {
    const { limits, raw: isRaw, signal } = options;
    const request = (job, timeout_ms) => this.#request(call, options, job, timeout_ms);
    return this.#jobs.run(request, { isRaw, timeout_ms: limits?.timeout_ms ?? this.#timeout_ms, signal });
  }

  /** The parsed reply, for which this thread waits. */
  #ask(call, options) {
    const request = this.#request(call, options);
    const reply = options.raw ? raw.execute(call.function, request) : JSON.parse(native.call(call.function, request));
    if (this.#tellsStderr) this.#jobs.poll();
    return reply;
  }

  /** What a dry run tells of a document. It has nothing of guests, so that no text of it is needed, and no figures. */
  #plan(pipeline, { limits, raw: isRaw }) {
    return resultOf(this.#ask(pipeline, { limits }), { raw: isRaw }, pipeline);
  }

  #request({ head, body }, { limits, meta }, job, timeout_ms) {
    const tighter = timeout_ms === undefined ? limits : { ...limits, timeout_ms };
    const text = jsonOf({ executor: this.#id, ...head, limits: tighter, job, meta }, 'call');
    return `${text.slice(0, -1)},${body}}`;
  }
}

const configure = (options) => ask('configure', options);
const stats = () => ask('stats', {});
const version = () => native.version();

module.exports = { Executor, configure, stats, version };
