// Runtimes by hash: a job runs under the name that the document has, and what has that name is what the job pins.
//
// Jobs that pin the same hash hold a name together. One that pins another hash waits for them, and then registers its
// own. Another process may share the catalog: what has the name is looked at before and after.
import { createHash } from 'node:crypto';
import { failure } from './errors.js';

/** How often a job runs anew because another process has changed its runtime meanwhile. */
const TRIES = 5;

export const sha256Of = (bytes) => createHash('sha256').update(bytes).digest('hex');

export class Runtimes {
  #executor;
  #store;
  #held = new Map();

  constructor(executor, store) {
    this.#executor = executor;
    this.#store = store;
  }

  /** What `run` returns. `pins` are hashes by name, `reference` tells how to register a name. */
  async hold(pins, reference, run) {
    // In one order, so that no two jobs wait for each other.
    const names = Object.keys(pins).sort();
    const held = [];
    try {
      for (const name of names) held.push(await this.#take(name, pins[name]));
      for (let tries = 1; ; tries++) {
        for (const name of names) await this.#ensure(name, pins[name], reference);
        const output = await run();
        const changed = [];
        for (const name of names) if (!(await this.#has(name, pins[name]))) changed.push(name);
        if (changed.length === 0) return output;
        if (tries === TRIES) throw mismatch(changed[0], pins[changed[0]], 'another process keeps replacing it');
      }
    } finally {
      for (const one of held) if (--one.jobs === 0) one.free();
    }
  }

  async #take(name, sha256) {
    for (;;) {
      const one = this.#held.get(name);
      if (one === undefined || one.jobs === 0) break;
      if (one.sha256 === sha256) {
        one.jobs++;
        return one;
      }
      await one.freed;
    }
    const one = { sha256, jobs: 1 };
    one.freed = new Promise((resolve) => (one.free = resolve));
    this.#held.set(name, one);
    return one;
  }

  async #has(name, sha256) {
    try {
      return (await this.#executor.inspect(name)).sha256 === sha256;
    } catch (error) {
      if (error.code === 'unknown_runtime') return false;
      throw error;
    }
  }

  async #ensure(name, sha256, reference) {
    if (await this.#has(name, sha256)) return;
    const one = this.#held.get(name);
    one.registering ??= this.#register(name, sha256, reference).finally(() => (one.registering = undefined));
    await one.registering;
  }

  async #register(name, sha256, reference) {
    const { language, args, config_schema, snapshot, has_env } = (await reference(name)) ?? {};
    const details = { runtime: name, sha256 };
    if (has_env)
      throw failure(
        'runtime_unavailable',
        `the runtime \`${name}\` has variables, which jobs do not carry: register it here`,
        details,
      );
    const bytes = await this.#store?.get(sha256, name);
    if (bytes === undefined || bytes === null) {
      const where = this.#store === undefined ? 'this worker has no store' : 'the store has none';
      throw failure(
        'runtime_unavailable',
        `there is no runtime \`${name}\` with the SHA-256 ${sha256} here, and ${where}`,
        details,
      );
    }
    const actual = sha256Of(bytes);
    if (actual !== sha256) throw mismatch(name, sha256, `what the store gave has ${actual}`, actual);
    const source = language ? { script: Buffer.from(bytes).toString(), language } : { bytes };
    await this.#executor.register({ name, ...source, args, config_schema, snapshot, replace: true });
    if (!(await this.#has(name, sha256))) throw mismatch(name, sha256, 'it is another once registered');
  }
}

function mismatch(name, sha256, why, actual) {
  const details = { runtime: name, sha256, ...(actual === undefined ? {} : { actual }) };
  return failure('hash_mismatch', `the runtime \`${name}\` is pinned to the SHA-256 ${sha256}: ${why}`, details);
}
