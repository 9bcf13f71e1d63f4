// For each line on stdin: medians of so many calls in microseconds, and how many a second when 64 are awaited at once.
import { createInterface } from 'node:readline';
import { Executor } from '../../bindings/node/index.mjs';

const executor = new Executor();
const call = { config: {}, context: { name: 'Ada', count: 3 } };

function median(times) {
  return times.sort((a, b) => a - b)[times.length >> 1];
}

for await (const line of createInterface({ input: process.stdin })) {
  const calls = Number(line);
  const sync = [];
  const awaited = [];
  for (let i = 0; i < calls; i++) {
    const begun = performance.now();
    executor.executeSync('passthrough', call);
    sync.push((performance.now() - begun) * 1e3);
  }
  for (let i = 0; i < calls; i++) {
    const begun = performance.now();
    await executor.execute('passthrough', call);
    awaited.push((performance.now() - begun) * 1e3);
  }
  const each = Math.ceil(calls / 64);
  const begun = performance.now();
  await Promise.all(Array.from({ length: 64 }, async () => {
    for (let i = 0; i < each; i++) await executor.execute('passthrough', call);
  }));
  const rate = (64 * each * 1e3) / (performance.now() - begun);
  const row = { executeSync: median(sync), execute: median(awaited), 'awaited, 64 at once': rate };
  console.log(JSON.stringify(row));
}
