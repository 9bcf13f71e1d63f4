// A catalog of 5,000 earthquakes, on a queue. This program starts Redis and two workers, makes the catalog, and adds a
// pipeline that reads the CSV, describes each earthquake, sums up and writes a report. The workers begin without the
// scripts, and fetch them by their hashes. Then the step `each` runs with 1, 2 and 4 workers and with batches of 1, 10,
// 100 and 1,000 items, and a picture shows how many items a second they do.
//
//     make example-scale
//
// It prints, with other figures on another machine:
//
//     report: 5000 earthquakes, 16 of magnitude 7 or more, the strongest 8.4 near Cascadia
//     same as in one process: true
//     jobs: 8
//     items a second          1       10      100     1000 items a batch
//     1 worker             1022     8171    17343    20418
//     2 workers            1202     7154    16446    20346
//     4 workers            1431    11194    27564    22547
//     picture: target/example-scale/items-a-second.svg
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Executor } from 'arawn';
import { addPipeline, directoryStore, waitForPipeline } from 'arawn-bullmq';
import { FlowProducer, QueueEvents } from 'bullmq';
import { catalog } from './earthquakes.js';
import { picture } from './picture.js';
import { startRedis, startWorker } from './processes.js';

const QUEUE = 'earthquakes';
const WORKERS = [1, 2, 4];
const BATCHES = [1, 10, 100, 1000];
const directory = resolve('target/example-scale');

await rm(directory, { recursive: true, force: true });
await mkdir(`${directory}/data`, { recursive: true });
await writeFile(`${directory}/data/earthquakes.csv`, catalog(5000));

// What the pipeline may do is a matter of who runs it: this executor and those of the workers grant one directory.
const dirs = [{ host: `${directory}/data`, guest: '/data', write: true }];
const executor = await Executor.open({ runtimes_dir: `${directory}/runtimes`, capabilities: { dirs } });
for (const name of ['parse', 'describe', 'report']) {
  await executor.register({ name, path: new URL(`runtimes/${name}.js`, import.meta.url).pathname });
}
const pipeline = {
  steps: [
    { name: 'read', runtime: 'file_read', config: { path: '/data/earthquakes.csv' } },
    { name: 'parse', runtime: 'parse' },
    { name: 'each', runtime: 'describe', for_each: 'parse' },
    { name: 'report', runtime: 'report' },
    { name: 'save', runtime: 'file_write', config: { path: '/data/report.json', content_key: 'report' } },
  ],
};

const redis = await startRedis(directory);
const { connection } = redis;
const flows = new FlowProducer({ connection });
const events = new QueueEvents(QUEUE, { connection });
const store = directoryStore(`${directory}/store`);
const workers = [];
const workersAre = async (count) => {
  while (workers.length < count)
    workers.push(await startWorker({ queue: QUEUE, connection, directory, number: workers.length }));
  await Promise.all(workers.map((worker, index) => worker.tell(index < count ? 'resume' : 'pause')));
};
try {
  await workersAre(2);
  let jobs = 0;
  events.on('completed', () => jobs++);
  const { job } = await addPipeline(flows, pipeline, { id: 'night-1', queue: QUEUE, executor, store });
  await waitForPipeline(job, events);
  const report = await readFile(`${directory}/data/report.json`, 'utf8');
  const { count, strong, strongest } = JSON.parse(report);
  const { magnitude, place } = strongest;
  console.log(
    `report: ${count} earthquakes, ${strong} of magnitude 7 or more, the strongest ${magnitude} near ${place}`,
  );
  await executor.executePipeline(pipeline);
  console.log('same as in one process:', report === (await readFile(`${directory}/data/report.json`, 'utf8')));
  console.log('jobs:', jobs);

  const list = await executor.executePipeline({ steps: pipeline.steps.slice(0, 2) });
  const each = { steps: [{ name: 'each', runtime: 'describe', for_each: 'parse' }] };
  const figures = new Map();
  console.log(`items a second  ${BATCHES.map((items) => String(items).padStart(9)).join('')} items a batch`);
  for (const count of WORKERS) {
    await workersAre(count);
    figures.set(count, []);
    for (const items of BATCHES) {
      // Small batches take long: they get fewer items.
      const context = { parse: list.slice(0, items * 1000) };
      const began = performance.now();
      const { job } = await addPipeline(flows, each, { queue: QUEUE, executor, context, batch: { items } });
      await waitForPipeline(job, events);
      figures.get(count).push(Math.round((1000 * context.parse.length) / (performance.now() - began)));
    }
    const label = `${count} ${count === 1 ? 'worker' : 'workers'}`.padEnd(16);
    console.log(
      label +
        figures
          .get(count)
          .map((figure) => String(figure).padStart(9))
          .join(''),
    );
  }
  await writeFile(`${directory}/items-a-second.svg`, picture(BATCHES, figures));
  console.log('picture: target/example-scale/items-a-second.svg');
} finally {
  await Promise.all(workers.map((worker) => worker.stop()));
  await Promise.all([flows.close(), events.close(), executor.close()]);
  await redis.stop();
}
