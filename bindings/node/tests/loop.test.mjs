import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Figures, meter } from './meter.mjs';
import { open } from './shop.mjs';

const THREADS = 8;
const CALLS = 10_000;
/** Of all calls of the library, how many may sleep and how many may compute for long: see below. */
const RARE_SLEEPS = 0.02;
const RARE_COMPUTES = 0.0003;

async function load() {
  const workerData = { calls: CALLS / THREADS, atOnce: 16 };
  const file = new URL('worker.mjs', import.meta.url);
  const workers = Array.from({ length: THREADS }, () => new Worker(file, { workerData }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const ended = workers.map((worker) => once(worker, 'message'));
  workers.forEach((worker) => worker.postMessage('go'));
  const all = new Figures();
  for (const [figures] of await Promise.all(ended)) all.include(figures);
  return all;
}

// The library's functions share locks with its workers. Where whoever has one is left without a processor, as happens
// while 12 threads and other programs want two of them, the others sleep for as long; all that can be asked of such a
// machine is that they do so rarely. The processor time of a thread has in it what a hypervisor meanwhile gave to other
// machines, so that it is long now and then, too. What blocks does so in each call.
test('10,000 calls from 8 worker threads keep no event loop for longer than 5 ms', async (t) => {
  const all = await load();
  t.diagnostic(JSON.stringify(all));
  assert.ok(all.calls > CALLS, 'each call is a submit, and some of a poll');
  assert.ok(all.longComputes <= all.calls * RARE_COMPUTES, `it computed for long ${all.longComputes} times`);
  assert.ok(all.longSleeps <= all.calls * RARE_SLEEPS, `it slept for long ${all.longSleeps} times`);
});

test('what does block an event loop is noticed', async (t) => {
  const executor = await open(t);
  const computing = meter();
  assert.throws(() => executor.executeSync('loop', { limits: { timeout_ms: 500 } }), { code: 'timeout' });
  assert.equal(computing.longComputes, 1);
  const sleeping = new Figures();
  sleeping.time(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50));
  assert.equal(sleeping.longSleeps, 1);
});

test('the event loop turns while guests compute', async (t) => {
  const executor = await open(t);
  let turns = 0;
  let ended = false;
  const call = executor.execute('loop', { limits: { timeout_ms: 1000 } }).catch((error) => {
    ended = true;
    return error.code;
  });
  for (; !ended; turns++) await setImmediate();
  assert.equal(await call, 'timeout');
  assert.ok(turns > 100, `${turns} turns`);
});

test('the event loop sleeps while it waits, without a timer', async (t) => {
  const executor = await open(t);
  const call = executor.execute('loop', { limits: { timeout_ms: 1000 } }).catch((error) => error.code);
  await setImmediate();
  assert.ok(!process.getActiveResourcesInfo().includes('Timeout'));
  // @ts-ignore Newer than the types.
  const turns = () => performance.nodeTiming.uvMetricsInfo.loopCount;
  const before = turns();
  assert.equal(await call, 'timeout');
  assert.ok(turns() - before < 20, `${turns() - before} turns`);
});
