import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import { isMainThread } from 'node:worker_threads';
import { open, rejection } from './shop.js';

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
    // @ts-expect-error It must not be asynchronous.
    function: async () => 1,
    call: () => {},
  });
  assert.deepEqual(await executor.execute('echo'), { status: 'ok', output: { from: 'the guest' } });
  assert.equal((await executor.execute('error')).error, 'no <such> "thing"');
  assert.equal((await executor.execute('panic')).error, 'null');
  assert.match((await executor.execute('function')).error, /not with a promise/);
  assert.deepEqual(await executor.execute('call'), { status: 'ok', output: null });
  assert.equal((await executor.execute('missing')).code, 'host_function_failed');
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
  /** @type {import('../arawn.js').StderrLine[]} */
  const told = [];
  const executor = await open(t, { stderr_to: 'log' }, { log: (line) => void told.push(line) });
  assert.equal(await executor.execute('writes'), 1);
  assert.deepEqual(told.map(({ runtime, line }) => [runtime, line]), [['writes', 'first'], ['writes', 'last']]);
  await rejection(open(t, { stderr_to: 'log' }, {}), 'invalid_config');
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
