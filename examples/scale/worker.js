// A worker, in a process of its own: main.js starts it, and is told when it is ready. Its catalog is empty at first.
import { Executor } from 'arawn';
import { createWorker, directoryStore } from 'arawn-bullmq';

const { queue, connection, directory, number } = JSON.parse(process.argv[2]);
const dirs = [{ host: `${directory}/data`, guest: '/data', write: true }];
const executor = await Executor.open({ runtimes_dir: `${directory}/worker-${number}`, capabilities: { dirs } });
const worker = createWorker({ queue, executor, connection, store: directoryStore(`${directory}/store`) });
worker.on('error', (error) => console.error(error.message));

process.on('disconnect', () => process.exit());
process.on('message', async (message) => {
  if (message === 'pause') await worker.pause();
  if (message === 'resume') await worker.resume();
  process.send(message);
});
await worker.waitUntilReady();
process.send('ready');
