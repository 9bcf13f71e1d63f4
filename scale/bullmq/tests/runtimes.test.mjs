// Runtimes travel by hash.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Redis } from 'ioredis';
import { addPipeline, directoryStore, redisStore, waitForPipeline } from '../index.js';
import { sha256Of } from '../lib/runtimes.js';
import { openExecutor, rejection, setUp, timeout_ms } from './fixture.mjs';

const setup = setUp();
const ONE = { steps: [{ name: 'one', runtime: 'label', for_each: 'list' }] };
const context = { list: ['a', 'b'] };
const EXPECTED = ['0:a', '1:b'];

/** An executor of another machine, whose catalog has no more than is given. */
async function elsewhere(t, name, runtimes = []) {
  const executor = await openExecutor({ scratch: setup.scratch, name, runtimes });
  t.after(() => executor.close());
  return executor;
}

async function run(document, options) {
  const { job } = await addPipeline(setup.flows, document, { executor: setup.executor, context, ...options });
  return waitForPipeline(job, setup.events, { timeout_ms });
}

test('a worker fetches what it lacks, and registers it under its pin', async (t) => {
  const client = new Redis(setup.connection);
  t.after(() => client.disconnect());
  const stores = { redis: redisStore(client), directory: directoryStore(join(setup.scratch, 'store')) };
  const { sha256 } = await setup.executor.inspect('label');
  for (const [name, store] of Object.entries(stores)) {
    const executor = await elsewhere(t, `empty-${name}`);
    const worker = await setup.work(t, { executor, store });
    assert.deepEqual(await run(ONE, { store }), EXPECTED);
    const there = await executor.inspect('label');
    assert.deepEqual([there.pin, there.language], [sha256, 'javascript']);
    assert.equal(Buffer.compare(await store.get(sha256), Buffer.from(await stores.redis.get(sha256))), 0);
    await worker.close();
  }
  const asked = [];
  const executor = await elsewhere(t, 'empty-function');
  await setup.work(t, { executor, store: (...wanted) => (asked.push(wanted), stores.directory.get(wanted[0])) });
  assert.deepEqual(await run(ONE), EXPECTED);
  assert.deepEqual(await run(ONE), EXPECTED);
  assert.deepEqual(asked, [[sha256, 'label']]);
});

test('jobs carry a name and a hash', async () => {
  const { job } = await addPipeline(setup.flows, ONE, { executor: setup.executor, context, queue: 'nobody' });
  const { sha256 } = await setup.executor.inspect('label');
  assert.deepEqual(job.data.runtimes, { label: sha256 });
  assert.doesNotMatch(JSON.stringify(job.data), /export default/);
});

test('a module and the schema of its config travel too', async (t) => {
  const producer = await elsewhere(t, 'schema', [
    {
      name: 'strict',
      path: '../../runtimes/prebuilt/passthrough.wasm',
      config_schema: { type: 'object', required: ['n'] },
    },
  ]);
  const store = directoryStore(join(setup.scratch, 'modules'));
  await setup.work(t, { executor: await elsewhere(t, 'schema-worker'), store });
  const strict = (config) => ({ steps: [{ name: 's', runtime: 'strict', config }] });
  assert.deepEqual((await run(strict({ n: 1 }), { executor: producer, store })).config, { n: 1 });
  const error = await rejection(run(strict({}), { executor: producer, store }), 'invalid_request');
  const expected = await rejection(producer.executePipeline(strict({}), { context }), 'invalid_request');
  assert.deepEqual([error.message, error.details], [expected.message, expected.details]);
});

test('a store without the module, or with another one, is an error with a code, and the job can be tried again', async (t) => {
  const store = directoryStore(join(setup.scratch, 'broken'));
  const executor = await elsewhere(t, 'lacking');
  await setup.work(t, { executor, store });
  const { sha256 } = await setup.executor.inspect('label');
  const { job } = await addPipeline(setup.flows, ONE, { executor: setup.executor, context });
  const missing = await rejection(waitForPipeline(job, setup.events, { timeout_ms }), 'runtime_unavailable');
  assert.deepEqual(missing.details, { runtime: 'label', sha256 });
  assert.match((await setup.queue.getJob(job.id)).failedReason, /^runtime_unavailable: .*the store has none$/);

  const another = Buffer.from('export default () => 1');
  await store.put(sha256, another);
  const wrong = await rejection(run(ONE), 'hash_mismatch');
  assert.deepEqual(wrong.details, { runtime: 'label', sha256, actual: sha256Of(another) });
  await rejection(executor.inspect('label'), 'unknown_runtime');

  // The job is in the failed set, and nothing of it is lost.
  await addPipeline(setup.flows, ONE, { executor: setup.executor, context, store, queue: 'nobody' });
  await (await setup.queue.getJob(job.id)).retry();
  assert.deepEqual(await waitForPipeline(job, setup.events, { timeout_ms }), EXPECTED);
});

test('a worker without a store says so', async (t) => {
  await setup.work(t, { executor: await elsewhere(t, 'storeless') });
  const error = await rejection(run(ONE), 'runtime_unavailable');
  assert.match(error.message, /this worker has no store$/);
});

test('two versions of a name do not meet', async (t) => {
  const store = directoryStore(join(setup.scratch, 'versions'));
  const version = (number) => ({
    name: 'version',
    language: 'javascript',
    script: `export default () => { arawn.call("count", "version"); arawn.call("wait", 1); return ${number} }`,
  });
  const producers = [await elsewhere(t, 'version-1', [version(1)]), await elsewhere(t, 'version-2', [version(2)])];
  const executor = await elsewhere(t, 'versions');
  await setup.work(t, { executor, store, concurrency: 8 });
  const document = { steps: [{ name: 'v', runtime: 'version' }] };
  const outputs = await Promise.all(
    Array.from({ length: 40 }, (_, index) => run(document, { executor: producers[index % 2], store })),
  );
  assert.deepEqual(
    outputs,
    Array.from({ length: 40 }, (_, index) => 1 + (index % 2)),
  );
  assert.equal(executor.counts.get('version'), 40, 'none ran anew, because another version had come in between');
});

test('what another process puts in place of a runtime does not stand in the result', async (t) => {
  const executor = await elsewhere(t, 'shared');
  const store = directoryStore(join(setup.scratch, 'shared-store'));
  await setup.work(t, { executor, store });
  let replaced = 0;
  const original = executor.executePipeline.bind(executor);
  executor.executePipeline = async (...call) => {
    const meddle = replaced++ === 0;
    if (meddle)
      await executor.register({
        name: 'label',
        script: 'export default () => "another"',
        language: 'javascript',
        replace: true,
      });
    return original(...call);
  };
  assert.deepEqual(await run(ONE, { store, batch: { items: 2 } }), EXPECTED);
  assert.equal(replaced, 2);
});

test('a runtime that nobody has is refused before anything is added', async () => {
  const document = {
    steps: [
      { name: 'a', runtime: 'passthrough' },
      { name: 'b', runtime: 'nobody' },
    ],
  };
  const id = 'nobody-has-it';
  const error = await rejection(
    addPipeline(setup.flows, document, { id, executor: setup.executor }),
    'unknown_runtime',
  );
  const expected = await rejection(setup.executor.executePipeline(document), 'unknown_runtime');
  assert.deepEqual([error.message, error.details], [expected.message, expected.details]);
  assert.equal(await setup.queue.getJob(id), undefined);
});
