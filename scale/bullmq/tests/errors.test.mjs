// What is wrong is a clear error with a code, and nothing is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowProducer } from 'bullmq';
import { Redis } from 'ioredis';
import { addPipeline, createWorker, reply, result, waitForPipeline } from '../index.js';
import { QUEUE, rejection, setUp, timeout_ms, until } from './fixture.mjs';

const setup = setUp();
const step = (name, runtime, more) => ({ name, runtime, ...more });
const add = (document, options) => addPipeline(setup.flows, document, { executor: setup.executor, ...options });
const outcome = (job) => waitForPipeline(job, setup.events, { timeout_ms });

test("a bad document is refused in the library's words, and nothing is added", async () => {
  const one = step('a', 'passthrough');
  const documents = [
    [{}, {}],
    [{ steps: [] }, {}],
    [{ steps: [one, one] }, {}],
    [{ steps: [{ ...one, needs: ['b'] }] }, {}],
    [
      {
        steps: [
          { ...one, needs: ['b'] },
          { ...step('b', 'passthrough'), needs: ['a'] },
        ],
      },
      {},
    ],
    [{ steps: [{ ...one, retires: 1 }] }, {}],
    [{ steps: [one], output: 'b' }, {}],
    [{ steps: [one] }, { context: { a: 1 } }],
    [{ steps: [{ ...one, for_each: 'list' }] }, { context: { list: 3 } }],
    [{ steps: [one, step('b', 'passthrough', { for_each: 'list.x' })] }, { context: { list: {} } }],
    [{ steps: [one] }, { completed: { b: 1 } }],
  ];
  for (const [document, options] of documents) {
    const error = await rejection(add(document, options), 'invalid_request');
    const expected = await rejection(setup.executor.executePipeline(document, options), 'invalid_request');
    assert.deepEqual([error.message, error.details], [expected.message, expected.details]);
  }
  await assert.rejects(add('{"steps": [', { raw: true }), SyntaxError);
  const client = await setup.queue.getBackend().client;
  assert.deepEqual(await client.keys('bull:arawn:pipeline:*'), []);
  assert.equal((await setup.queue.getJobs()).length, 0);
});

test('a misspelt option is a TypeError', async () => {
  const document = { steps: [step('a', 'passthrough')] };
  const options = [
    { quue: 'x' },
    { batch: { size: 3 } },
    { batch: { items: 0 } },
    { ttl_ms: 0 },
    { id: 'a:b' },
    { id: '12' },
    { job: { jobId: 'x' } },
    { steps: { a: { parent: {} } } },
    { steps: { b: { priority: 1 } } },
  ];
  for (const wrong of options) await assert.rejects(add(document, wrong), TypeError, JSON.stringify(wrong));
  assert.throws(() => createWorker({ queue: QUEUE, connection: setup.connection }), TypeError);
});

test('a queue that is away is an error within a time', async () => {
  const nobody = new Redis({ host: '127.0.0.1', port: 1, maxRetriesPerRequest: null, retryStrategy: () => 20 });
  nobody.on('error', () => {});
  const flows = new FlowProducer({ connection: nobody });
  flows.on('error', () => {});
  const document = { steps: [step('a', 'passthrough')] };
  const error = await rejection(
    addPipeline(flows, document, { executor: setup.executor, timeout_ms: 200 }),
    'queue_unavailable',
  );
  assert.deepEqual(error.details, { timeout_ms: 200 });
  nobody.disconnect();
});

test('a runtime that traps ends in the failed set with its code', async (t) => {
  await setup.work(t);
  const document = {
    steps: [
      step('a', 'passthrough'),
      step('b', 'traps', { retry: { attempts: 2, delay_ms: 1 } }),
      step('c', 'passthrough'),
    ],
  };
  const {
    job,
    children: [child],
  } = await add(document);
  const error = await rejection(outcome(job), 'trap');
  assert.match(error.message, /^step `b`: /);
  assert.deepEqual([error.details.step, error.details.completed], ['b', ['a']]);
  await until(async () => (await setup.queue.getJobState(job.id)) === 'failed', 'the root has failed');
  const failed = (await setup.queue.getFailed()).find(({ id }) => id === child.job.id);
  assert.match(failed.failedReason, /^trap: step `b`: /);
  assert.equal(failed.attemptsMade, 2);
  assert.equal(JSON.parse(await reply(job)).code, 'trap');
});

test('a poisoned item ends the pipeline, and its other batches are not run', async (t) => {
  const list = Array.from({ length: 60 }, (_, index) => (index === 4 ? 13 : 0));
  const { job } = await add(
    { steps: [step('each', 'fails', { for_each: 'list' })] },
    { context: { list }, batch: { items: 1 } },
  );
  await setup.work(t);
  const error = await rejection(outcome(job), 'runtime_error');
  assert.deepEqual([error.details.step, error.details.index], ['each', 4]);
  await until(
    async () => (await setup.queue.getJobCountByTypes('waiting', 'active', 'waiting-children')) === 0,
    'the queue is empty',
  );
  const failed = (await setup.queue.getFailed()).filter(({ id }) => id.startsWith(job.id));
  assert.deepEqual(failed.map(({ id }) => id).sort(), [job.id, `${job.id}-batch-5`]);
});

test('when a step that several need fails, all of its flow ends', async (t) => {
  await setup.work(t);
  const document = {
    steps: [
      step('a', 'traps', { needs: [] }),
      step('b', 'passthrough', { needs: ['a'] }),
      step('e', 'passthrough', { needs: ['b'] }),
      step('c', 'passthrough', { needs: ['a', 'b'] }),
      step('d', 'passthrough', { needs: ['e', 'c', 'a'] }),
    ],
  };
  const { job } = await add(document, { gate_ms: 3_600_000 });
  assert.deepEqual((await rejection(outcome(job), 'trap')).details.completed, []);
  const left = () => setup.queue.getJobCountByTypes('waiting', 'active', 'delayed', 'waiting-children');
  await until(async () => (await left()) === 0, 'no job is left');
});

test('a job that is cancelled is an error with this code', async (t) => {
  const worker = await setup.work(t);
  const { job } = await add({ steps: [step('w', 'wait', { config: { ms: timeout_ms } })] });
  await until(() => worker.cancelJob(job.id, 'enough'), 'the job is active');
  assert.match((await rejection(outcome(job), 'cancelled')).message, /enough/);
});

test('a pipeline that fails while its result is read has its own error', async (t) => {
  const { job } = await add({ steps: [step('a', 'traps')] });
  const { getState } = job;
  job.getState = async () => {
    await setup.work(t);
    await until(async () => (await getState.call(job)) === 'failed', 'the root has failed');
    return getState.call(job);
  };
  await rejection(result(job), 'trap');
});
