// A worker in a process of its own, for fixture.mjs.
import { createWorker } from '../index.js';
import { QUEUE, openExecutor } from './fixture.mjs';

const { connection, scratch, limits, worker: options } = JSON.parse(process.argv[2]);
const send = (message) => process.connected && process.send(message);
const executor = await openExecutor({ scratch, limits, onCount: (count) => send({ count }) });
const worker = createWorker({
  queue: QUEUE,
  executor,
  connection: { ...connection, retryStrategy: () => 50 },
  ...options,
});
worker.on('error', () => {});
worker.on('completed', () => send({ completed: true }));
process.on('disconnect', () => process.exit());
process.on('message', async (message) => {
  if (message === 'close') {
    await worker.close();
    await executor.close();
    process.exit();
  }
  if (message === 'pause') await worker.pause();
  if (message === 'resume') await worker.resume();
  send({ told: message });
});
await worker.waitUntilReady();
send({ ready: true });
