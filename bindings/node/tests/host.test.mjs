import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { Json } from '../index.mjs';
import { open, rejection, runtimes_dir } from './shop.mjs';

// The guests ask a function each, by their own name, and answer with the reply that they get.

test('guests call functions of this program', async (t) => {
  const executor = await open(t, {}, {
    echo: (request) => request,
    error: () => {
      throw new Error('no <such> "thing"');
    },
    panic: () => {
      throw null;
    },
    call: () => {},
  });
  assert.deepEqual(await executor.execute('echo'), { status: 'ok', output: { from: 'the guest' } });
  assert.equal((await executor.execute('error')).error, 'no <such> "thing"');
  assert.equal((await executor.execute('panic')).error, 'null');
  assert.deepEqual(await executor.execute('call'), { status: 'ok', output: null });
  assert.equal((await executor.execute('missing')).code, 'host_function_failed');
});

test('they may answer later, by a promise', async (t) => {
  const executor = await open(t, {}, {
    echo: async (request) => {
      await setTimeout(5);
      return request;
    },
    error: async () => {
      throw new Error('no such thing');
    },
    function: async () => {
      await setTimeout(5);
      return new Json('[1.10]');
    },
    // @ts-expect-error
    panic: async () => ({ deep: [new Map()] }),
    call: () => new Promise(() => {}),
  });
  assert.deepEqual(await executor.execute('echo'), { status: 'ok', output: { from: 'the guest' } });
  assert.equal((await executor.execute('error')).error, 'no such thing');
  assert.equal(await executor.execute('function', { raw: true }), '{"status":"ok","output":[1.10]}');
  assert.equal((await executor.execute('panic')).error, 'output.deep[0] is a Map, which JSON has not');
  await rejection(executor.execute('call', { limits: { timeout_ms: 200 } }), 'timeout');
  const signal = AbortSignal.timeout(20);
  await assert.rejects(executor.execute('call', { signal }), { name: 'TimeoutError' });
  // Guests that wait hold no worker: there are four.
  const many = await Promise.all(Array.from({ length: 20 }, () => executor.execute('echo')));
  assert.ok(many.every(({ status }) => status === 'ok'));
});

test('they answer within a call that blocks, but by no promise', async (t) => {
  const executor = await open(t, {}, {
    echo: (request) => ({ request, again: executor.executeSync('function').output }),
    function: () => 7,
    error: async () => 1,
    call: () => executor[Symbol.dispose](),
  });
  const output = { request: { from: 'the guest' }, again: 7 };
  assert.deepEqual(executor.executeSync('echo'), { status: 'ok', output });
  assert.match(executor.executeSync('error').error, /executeSync cannot wait for the promise/);
  assert.deepEqual((await executor.execute('echo')).output, output);
  assert.deepEqual(executor.executeSync('call'), { status: 'ok', output: null });
  assert.throws(() => executor.executeSync('call'), { code: 'unknown_executor' });
});

test('they run on this thread, between other events, also while it computes now and then', async (t) => {
  let computing = false;
  let asked = 0;
  const executor = await open(t, {}, {
    echo: () => {
      assert.ok(isMainThread && !computing);
      return ++asked;
    },
  });
  const calls = Array.from({ length: 50 }, () => executor.execute('echo'));
  const timer = setInterval(() => {
    computing = true;
    for (const until = performance.now() + 5; performance.now() < until; );
    computing = false;
  }, 1);
  const outputs = (await Promise.all(calls)).map(({ output }) => output);
  clearInterval(timer);
  assert.deepEqual(outputs.sort((a, b) => a - b), Array.from({ length: 50 }, (_, i) => i + 1));
});

test('one of them is told the lines that guests write to stderr', async (t) => {
  /** @type {import('../index.mjs').StderrLine[]} */
  const told = [];
  const executor = await open(t, { stderr_to: 'log' }, { log: (line) => void told.push(line) });
  assert.equal(await executor.execute('writes'), 1);
  assert.deepEqual(told.map(({ runtime, line }) => [runtime, line]), [['writes', 'first'], ['writes', 'last']]);
  assert.equal(executor.executeSync('writes'), 1);
  assert.equal(told.length, 4);
  await rejection(open(t, { stderr_to: 'log' }, {}), 'invalid_config');
});

test('another one is told what a registration is doing', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'arawn-node-'));
  t.after(() => rm(directory, { recursive: true }));
  /** @type {any[]} */
  const told = [];
  const executor = await open(t, { runtimes_dir: directory }, { 'arawn.log': (line) => void told.push(line) });
  await executor.register({ name: 'r', path: join(runtimes_dir, 'custom/writes.wasm') });
  const stages = told.filter(({ about }) => about === 'register').map(({ stage }) => stage);
  assert.deepEqual([stages[0], stages.at(-1)], ['reading', 'writing']);
});

test('they may begin calls', async (t) => {
  /** @type {Promise<any>[]} */
  const begun = [];
  const executor = await open(t, {}, {
    call: () => {
      begun.push(executor.execute('passthrough', { context: begun.length }));
    },
  });
  await Promise.all([executor.execute('call'), executor.execute('call')]);
  assert.deepEqual(await Promise.all(begun), [0, 1].map((context) => ({ config: {}, context })));
});

test('they may close their executor', async (t) => {
  /** @type {Promise<void> | undefined} */
  let closed;
  const executor = await open(t, {}, {
    echo: () => {
      closed = executor.close();
    },
  });
  const loop = rejection(executor.execute('loop', { limits: { timeout_ms: 2000 } }), 'unknown_executor');
  // The call that asks may have its result before it is closed.
  await executor.execute('echo').then(
    (reply) => assert.deepEqual(reply, { status: 'ok', output: null }),
    (error) => assert.equal(error.code, 'unknown_executor'),
  );
  await loop;
  await closed;
});

test('the reply goes to the caller that awaits it', async (t) => {
  const executor = await open(t);
  const storage = new AsyncLocalStorage();
  const call = (/** @type {number} */ n) =>
    storage.run(n, async () => {
      const { context } = await executor.execute('passthrough', { context: n });
      assert.deepEqual([context, storage.getStore()], [n, n]);
    });
  await Promise.all(Array.from({ length: 500 }, (_, n) => call(n)));
});
