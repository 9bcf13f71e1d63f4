// Workers that are killed, a Redis that is killed, and workers that come and go: each item is once in the result.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { addPipeline, waitForPipeline } from '../index.js';
import { SHORT_LOCKS, rejection, setUp, timeout_ms, until } from './fixture.mjs';

const setup = setUp();
/** Jobs that take some time: each item waits. */
const WAITING = { name: 'each', runtime: 'wait', config: { ms: 1 }, for_each: 'list', needs: ['before'] };
const BEFORE = { name: 'before', runtime: 'count', config: { as: 'before' } };
const document = { steps: [BEFORE, WAITING] };
const worker = { ...SHORT_LOCKS };

function started(t, items, batch) {
  const list = Array.from({ length: items }, (_, index) => index * 3);
  const seen = { completed: 0, stalled: 0 };
  const onCompleted = () => seen.completed++;
  const onStalled = () => seen.stalled++;
  setup.events.on('completed', onCompleted).on('stalled', onStalled);
  t.after(() => setup.events.off('completed', onCompleted).off('stalled', onStalled));
  const added = addPipeline(setup.flows, document, {
    executor: setup.executor,
    context: { list },
    batch: { items: batch },
  });
  return { list, seen, ended: added.then(({ job }) => waitForPipeline(job, setup.events, { timeout_ms })) };
}

test('workers are killed while 10,000 items run', async (t) => {
  const start = () => setup.spawn(t, { worker });
  const workers = await Promise.all([start(), start(), start()]);
  const { list, seen, ended } = started(t, 10_000, 50);
  let killed = 0;
  for (const completed of [5, 30, 60, 90, 120, 150]) {
    await until(() => seen.completed >= completed, `${completed} of 200 batches are done`);
    const unlucky = randomInt(workers.length);
    await workers[unlucky].kill();
    killed++;
    workers[unlucky] = await start();
  }
  assert.deepEqual(await ended, list);
  assert.ok(killed === 6 && seen.stalled >= 1, `${seen.stalled} jobs have lost their worker`);
});

test('Redis is killed and started again with its append-only file', async (t) => {
  const work = await setup.spawn(t, { worker, limits: { calls: 1 } });
  const { list, seen, ended } = started(t, 1000, 20);
  for (const completed of [5, 25]) {
    await until(() => seen.completed >= completed, `${completed} of 50 batches are done`);
    assert.ok(seen.completed < 50, 'the pipeline is under way');
    await setup.redis.kill();
    await setup.redis.run();
  }
  assert.deepEqual(await ended, list);
  assert.equal(work.counts.get('before'), 1, 'what was done before is not done again');
});

test('a job that loses more workers than it may is an error', async (t) => {
  const last = { worker: { ...worker, maxStalledCount: 0 } };
  const unlucky = await setup.spawn(t, last);
  const slow = {
    steps: [
      { ...BEFORE, config: { as: 'slow' } },
      { name: 'w', runtime: 'wait', config: { ms: timeout_ms } },
    ],
  };
  const { job } = await addPipeline(setup.flows, { ...slow, output: 'before' }, { executor: setup.executor });
  await until(() => unlucky.counts.get('slow') === 1, 'the first step has run');
  const second = `${job.id}-1`;
  await until(async () => (await setup.queue.getJobState(second)) === 'active', 'the second one runs');
  await unlucky.kill();
  await setup.spawn(t, last);
  const error = await rejection(waitForPipeline(job, setup.events, { timeout_ms }), 'job_failed');
  assert.deepEqual([error.message, error.details], ['job stalled more than allowable limit', { job: second }]);
});

// A long lock, and no long time between looks for lost ones, which would keep the next tests waiting.
const unhurried = { worker: { stalledInterval: SHORT_LOCKS.stalledInterval }, limits: { calls: 1 } };

test('a worker is added, and another one leaves', async (t) => {
  const first = await setup.spawn(t, unhurried);
  const { list, seen, ended } = started(t, 3000, 20);
  await until(() => first.completed >= 10, 'the first worker has done some batches');
  // It leaves some for the second one, however long that takes to start.
  await first.tell('pause');
  const second = await setup.spawn(t, unhurried);
  await until(() => second.completed >= 10, 'the second worker has done some batches');
  await first.tell('resume');
  const byFirst = first.completed;
  await until(() => first.completed > byFirst, 'both have done some');
  await first.close();
  assert.deepEqual(await ended, list);
  assert.equal(seen.stalled, 0, 'a worker that leaves finishes its jobs');
});

const careless = {
  concurrency: 1,
  lockDuration: 100,
  stalledInterval: 50,
  skipLockRenewal: true,
  maxStalledCount: 1000,
};

test('workers that lose their locks and go on do no harm', async (t) => {
  const start = () => setup.spawn(t, { worker: careless, limits: { calls: 1 } });
  await Promise.all([start(), start()]);
  const { list, seen, ended } = started(t, 800, 200);
  assert.deepEqual(await ended, list);
  assert.ok(seen.stalled >= 1, 'jobs were delivered twice');
});

test('of a job that was delivered twice, the first output counts, and a later error does not', async (t) => {
  await Promise.all([setup.work(t, careless), setup.work(t, careless)]);
  let stalled = 0;
  const onStalled = () => stalled++;
  setup.events.on('stalled', onStalled);
  t.after(() => setup.events.off('stalled', onStalled));
  const late = { steps: [{ name: 'late', runtime: 'late', config: { as: 'late' } }] };
  const { job } = await addPipeline(setup.flows, late, { executor: setup.executor });
  assert.equal(await waitForPipeline(job, setup.events, { timeout_ms }), 'first');
  assert.ok(stalled >= 1 && setup.executor.counts.get('late') >= 2, 'the job was delivered twice');
});
