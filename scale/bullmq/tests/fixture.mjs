// What the tests share: a Redis, an executor with some runtimes, and workers in this process and in others.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { ArawnError, Executor } from 'arawn';
import { FlowProducer, Queue, QueueEvents } from 'bullmq';
import { createWorker } from '../index.js';
import { RedisServer } from './redis.mjs';

export const QUEUE = 'arawn';
export const timeout_ms = 60_000;
/** Of a worker that is killed, others have the jobs soon. */
export const SHORT_LOCKS = { lockDuration: 1000, stalledInterval: 300 };

/**
 * A module whose `_start` writes to its memory and then is `unreachable`. As the first instruction, `unreachable` has
 * one of two places in the backtrace, by whether the engine's epoch has just changed.
 */
export const TRAPS = Buffer.from(
  '0061736d01000000010401600000030201000503010001070a01065f737461727400000a0c010a0041004101360200000b',
  'hex',
);

const script = (name, body) => {
  return { name, script: `export default ({ config, context }) => { ${body} }`, language: 'javascript' };
};
const RUNTIMES = [
  { name: 'traps', bytes: TRAPS },
  script('label', 'return `${config.text ?? ""}${context.index}:${context.item}`;'),
  script('wait', 'arawn.call("wait", config.ms ?? 2); return context.item;'),
  script('count', 'arawn.call("count", config.as); return context;'),
  script('luck', 'if (arawn.call("count", config.as) < config.tries) throw new Error("no luck"); return "luck";'),
  script(
    'late',
    'const n = arawn.call("count", config.as); arawn.call("wait", 400 * n); if (n > 1) throw new Error(); return "first";',
  ),
  script('fails', 'if (context.item === 13) throw new Error("13"); return context.item;'),
];

/** An executor with the runtimes and the functions that they call. `count` counts calls by name. */
export async function openExecutor({ scratch, name = 'main', runtimes = RUNTIMES, limits, onCount = () => {} }) {
  const config = {
    runtimes_dir: join(scratch, name),
    cache_dir: join(scratch, 'cache'),
    limits: { timeout_ms, ...limits },
  };
  const counts = new Map();
  const executor = await Executor.open(config, {
    wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref()),
    count: (as) => {
      counts.set(as, (counts.get(as) ?? 0) + 1);
      onCount(as);
      return counts.get(as);
    },
  });
  const there = new Set((await executor.list()).map((runtime) => runtime.name));
  for (const runtime of runtimes) if (!there.has(runtime.name)) await executor.register(runtime);
  return Object.assign(executor, { counts });
}

/** Everything of one test file. */
export function setUp({ workerOptions } = {}) {
  const scratch = mkdtempSync(join(tmpdir(), 'arawn-bullmq-'));
  const setup = { scratch };
  before(async () => {
    setup.redis = await RedisServer.start();
    setup.connection = { ...setup.redis.connection, retryStrategy: () => 50 };
    setup.executor = await openExecutor({ scratch });
    setup.flows = new FlowProducer({ connection: setup.connection });
    setup.queue = new Queue(QUEUE, { connection: setup.connection });
    setup.events = new QueueEvents(QUEUE, { connection: setup.connection });
    for (const part of [setup.flows, setup.queue, setup.events]) part.on('error', () => {});
    await setup.events.waitUntilReady();
  });
  after(async () => {
    await Promise.all([setup.flows, setup.queue, setup.events].map((part) => part?.close()));
    await setup.executor?.close();
    await setup.redis?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** A worker in this process, which ends with the test. */
  setup.work = async (t, options) => {
    const worker = createWorker({
      queue: QUEUE,
      executor: setup.executor,
      connection: setup.connection,
      ...workerOptions,
      ...options,
    });
    worker.on('error', () => {});
    t.after(() => worker.close());
    await worker.waitUntilReady();
    return worker;
  };

  /** A worker in a process of its own. */
  setup.spawn = async (t, options = {}) => {
    const worker = new WorkerProcess({ connection: setup.redis.connection, scratch, ...options });
    t.after(() => worker.kill());
    await worker.ready;
    return worker;
  };
  return setup;
}

export class WorkerProcess {
  counts = new Map();
  told = new Set();
  completed = 0;

  constructor(options) {
    this.process = fork(new URL('worker.mjs', import.meta.url), [JSON.stringify(options)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.ended = once(this.process, 'exit');
    this.ready = new Promise((resolve, reject) => {
      this.process.on('message', ({ ready, told, count, completed }) => {
        if (ready) resolve();
        if (told) this.told.add(told);
        if (completed) this.completed++;
        if (count !== undefined) this.counts.set(count, (this.counts.get(count) ?? 0) + 1);
      });
      this.ended.then(() => reject(new Error('the worker has ended')));
    });
    this.ready.catch(() => {});
  }

  async tell(message) {
    this.process.send(message);
    await until(() => this.told.delete(message), `the worker has been told: ${message}`);
  }

  /** Lets it finish its jobs. */
  async close() {
    this.process.send('close');
    await this.ended;
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

/** The error that a promise must be rejected with. */
export async function rejection(promise, code) {
  const error = await promise.then(
    (output) => assert.fail(JSON.stringify(output)),
    (error) => error,
  );
  assert.ok(error instanceof ArawnError, error);
  assert.equal(error.code, code, error.message);
  return error;
}

/** Waits until a condition holds. */
export async function until(condition, what) {
  const end = Date.now() + timeout_ms;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `it takes too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
