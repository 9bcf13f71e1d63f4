// Compiled, and not run: what the types take and refuse.
import { Executor, Json } from 'arawn';
import { FlowProducer, Job, Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { addPipeline, createWorker, directoryStore, redisStore, reply, result, waitForPipeline } from '../index.js';

const connection = { host: '127.0.0.1', port: 6379 };
const executor = new Executor();
const flows = new FlowProducer({ connection });
const document = { steps: [{ name: 'a', runtime: 'passthrough', config: new Json('{"n": 1.0}') }] };

const node = await addPipeline(flows, document, {
  id: 'nightly',
  executor,
  context: { n: [1] },
  batch: { target_ms: 20 },
  job: { priority: 1 },
  steps: { a: { queue: 'other', attempts: 3, backoff: { type: 'exponential', delay: 100 } } },
  store: redisStore(new Redis()),
});
const job: Job = node.job;
await addPipeline(flows, '{"steps": []}', {
  raw: true,
  context: '{}',
  store: async (sha256, name) => Buffer.from(sha256 + name),
});
// @ts-expect-error misspelt
await addPipeline(flows, document, { bach: { items: 1 } });
// @ts-expect-error the flow's own
await addPipeline(flows, document, { job: { jobId: 'x' } });

const worker: Worker = createWorker({
  queue: 'arawn',
  executor,
  connection,
  store: directoryStore('runtimes'),
  concurrency: 4,
});
// @ts-expect-error no executor
createWorker({ queue: 'arawn', connection });
await worker.close();

const text: string = await result(job, { raw: true });
const whole: string = await reply((await new Queue('arawn', { connection }).getJob('nightly')) ?? job);
const output = await waitForPipeline(job, new QueueEvents('arawn', { connection }), { timeout_ms: 1000 });
console.log(text, whole, output.anything);
