// What is BullMQ's own about the jobs, and what the flow adds: retries, gates, names, queues, expiry.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowProducer, QueueEvents } from 'bullmq';
import { addPipeline, result, waitForPipeline } from '../index.js';
import { QUEUE, rejection, setUp, timeout_ms, until } from './fixture.mjs';

const setup = setUp();
const step = (name, runtime, more) => ({ name, runtime, ...more });
const add = (document, options) => addPipeline(setup.flows, document, { executor: setup.executor, ...options });
const outcome = (job) => waitForPipeline(job, setup.events, { timeout_ms });

test("retries are BullMQ's, with the delay of the document, for codes that a retry can help", async (t) => {
  await setup.work(t);
  const { counts } = setup.executor;
  const lucky = await add({
    steps: [step('l', 'luck', { config: { as: 'lucky', tries: 3 }, retry: { attempts: 5, delay_ms: 40 } })],
  });
  const began = Date.now();
  assert.equal(await outcome(lucky.job), 'luck');
  assert.ok(Date.now() - began >= 80, 'two delays');
  assert.equal(counts.get('lucky'), 3);
  assert.equal((await setup.queue.getJob(lucky.job.id)).attemptsMade, 3);

  const unlucky = await add({
    steps: [step('u', 'luck', { config: { as: 'unlucky', tries: 9 }, retry: { attempts: 2, delay_ms: 1 } })],
  });
  await rejection(outcome(unlucky.job), 'runtime_error');
  assert.equal(counts.get('unlucky'), 2);

  // What is wrong with the request stays wrong.
  const limits = { memory_bytes: 1 };
  const hopeless = await add({ steps: [step('h', 'passthrough', { limits, retry: { attempts: 5, delay_ms: 1 } })] });
  await rejection(outcome(hopeless.job), 'memory_exceeded');
  assert.equal((await setup.queue.getJob(hopeless.job.id)).attemptsMade, 1);
});

test('a failed job that is tried again goes on where it was', async (t) => {
  await setup.work(t);
  const config = { as: 'again', tries: 2 };
  const document = {
    steps: [
      step('a', 'count', { config: { as: 'once' } }),
      step('b', 'luck', { config }),
      step('c', 'passthrough', { needs: ['a', 'b'] }),
    ],
  };
  const { job, children } = await add(document, { context: { n: 1 } });
  await rejection(outcome(job), 'runtime_error');
  await until(async () => (await setup.queue.getJobState(job.id)) === 'failed', 'the root has failed');
  for (const { job: child } of [...children, { job }]) {
    const there = await setup.queue.getJob(child.id);
    if ((await there?.getState()) === 'failed') await there.retry();
  }
  assert.deepEqual(await outcome(job), { config: {}, context: { n: 1, a: { n: 1 }, b: 'luck' } });
  assert.equal(setup.executor.counts.get('once'), 1);
});

test("a step that several need runs once, and none waits for a gate's own look", async (t) => {
  await setup.work(t);
  const document = {
    steps: [
      step('a', 'count', { config: { as: 'shared' }, needs: [] }),
      step('b', 'passthrough', { needs: ['a'] }),
      step('c', 'passthrough', { needs: ['a'] }),
      step('d', 'passthrough', { needs: ['b', 'c', 'a'] }),
    ],
  };
  const { job } = await add(document, { context: { n: 1 }, gate_ms: 3_600_000 });
  await outcome(job);
  assert.equal(setup.executor.counts.get('shared'), 1);
});

test("a prefix of one's own", async (t) => {
  const flows = new FlowProducer({ connection: setup.connection, prefix: 'own' });
  const events = new QueueEvents(QUEUE, { connection: setup.connection, prefix: 'own' });
  t.after(() => Promise.all([flows.close(), events.close()]));
  await setup.work(t, { prefix: 'own' });
  const { job } = await addPipeline(flows, { steps: [step('a', 'passthrough')] }, { executor: setup.executor });
  assert.deepEqual(await waitForPipeline(job, events, { timeout_ms }), { config: {}, context: {} });
  const client = await setup.queue.getBackend().client;
  assert.equal(await client.exists(`own:arawn:pipeline:${job.id}`), 1);
});

test('a gate that nobody opens looks by itself', async (t) => {
  const document = {
    steps: [
      step('a', 'passthrough', { needs: [] }),
      step('b', 'passthrough', { needs: ['a'] }),
      step('c', 'passthrough', { needs: ['a', 'b'] }),
    ],
  };
  const worker = await setup.work(t);
  // As if the worker had ended between the output and the gates.
  const { promote } = worker.getBackend();
  let asked = 0;
  worker.getBackend().promote = () => (asked++, Promise.reject(new Error('gone')));
  const { job } = await add(document, { gate_ms: 100 });
  assert.deepEqual(Object.keys((await outcome(job)).context), ['a', 'b']);
  assert.equal(asked, 1);
  worker.getBackend().promote = promote;
});

test('a pipeline is added once, whoever adds it again', async (t) => {
  const document = { steps: [step('a', 'count', { config: { as: 'twice' } })] };
  const added = await Promise.all([1, 2, 3].map(() => add(document, { id: 'nightly-1', context: { n: 1 } })));
  assert.deepEqual(
    added.map(({ job }) => job.id),
    ['nightly-1', 'nightly-1', 'nightly-1'],
  );
  await setup.work(t);
  await outcome(added[0].job);
  const { job } = await add(document, { id: 'nightly-1', context: { n: 1 } });
  assert.deepEqual(await result(job), { n: 1 });
  assert.equal(setup.executor.counts.get('twice'), 1);
  const others = [
    [document, { context: { n: 2 } }],
    [{ steps: [step('a', 'count', { config: { as: 'thrice' } })] }, { context: { n: 1 } }],
  ];
  for (const [other, options] of others) await rejection(add(other, { id: 'nightly-1', ...options }), 'job_exists');
});

test('results are there until they expire, and not before the end', async (t) => {
  const document = { steps: [step('a', 'passthrough')] };
  const { job } = await add(document, { ttl_ms: 300 });
  await rejection(result(job), 'unfinished');
  await rejection(waitForPipeline(job, setup.events, { timeout_ms: 20 }), 'timeout');
  const client = await setup.queue.getBackend().client;
  assert.equal(await client.pttl(`bull:arawn:pipeline:${job.id}`), -1);
  await setup.work(t);
  await outcome(job);
  await until(async () => (await client.exists(`bull:arawn:pipeline:${job.id}`)) === 0, 'the result has expired');
  await rejection(result(job), 'unknown_job');
});

test("priorities, delays and queues of a step are BullMQ's", async (t) => {
  const events = new QueueEvents('other', { connection: setup.connection });
  t.after(() => events.close());
  await setup.work(t);
  const document = {
    steps: [
      step('a', 'passthrough', { needs: [] }),
      step('b', 'passthrough', { needs: ['a'] }),
      step('c', 'passthrough', { needs: ['a', 'b'] }),
    ],
  };
  const { job } = await add(document, { steps: { a: { queue: 'other', delay: 50 } }, job: { priority: 3 } });
  assert.equal((await setup.queue.getJob(job.id)).opts.priority, 3);
  assert.equal(await setup.queue.getJobState(job.id), 'waiting-children');
  const began = Date.now();
  await setup.work(t, { queue: 'other' });
  assert.deepEqual(Object.keys((await outcome(job)).context), ['a', 'b']);
  assert.ok(Date.now() - began < timeout_ms);
});

test('what was not added as a whole expires, and can be added again', async (t) => {
  const document = { steps: [step('a', 'passthrough')] };
  const flows = new FlowProducer({ connection: setup.connection });
  t.after(() => flows.close());
  flows.add = () => Promise.reject(new Error('the producer has ended'));
  const options = { id: 'halfway', executor: setup.executor };
  await assert.rejects(addPipeline(flows, document, options), /the producer has ended/);
  const client = await setup.queue.getBackend().client;
  assert.ok((await client.pttl('bull:arawn:pipeline:halfway')) > 0);
  await setup.work(t);
  const { job } = await addPipeline(setup.flows, document, options);
  assert.deepEqual(await outcome(job), { config: {}, context: {} });
});
