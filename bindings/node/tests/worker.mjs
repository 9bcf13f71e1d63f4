// One of the threads of loop.test.js: makes calls, a few at a time, and tells what they kept its event loop from.
import { parentPort, workerData } from 'node:worker_threads';
import { Executor } from '../index.mjs';
import { meter } from './meter.mjs';

const { calls, atOnce } = workerData;
const figures = meter();
const executor = await Executor.open({ cache_dir: null, limits: { timeout_ms: 300_000 } });
const text = 'x'.repeat(1000);

/** @param {number} n */
async function call(n) {
  const config = { template: 'call {{n}}: {{text}}' };
  const output = await executor.execute('transform', { config, context: { n, text } });
  if (output !== `call ${n}: ${text}`) throw new Error(output);
}

// The guest is compiled before anything is measured.
await call(-1);
figures.reset();
parentPort?.postMessage('ready');
parentPort?.once('message', async () => {
  let next = 0;
  const one = async () => {
    while (next < calls) await call(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  await executor.close();
  parentPort?.postMessage(figures);
});
