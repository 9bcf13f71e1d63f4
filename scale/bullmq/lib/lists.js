// A step with `for_each`: its job measures some items, adds batches of the others as its children, waits for them as
// BullMQ's jobs wait for children, and joins what they have stored.
import { Job, WaitingChildrenError } from 'bullmq';
import { failure } from './errors.js';
import { measure } from './sizing.js';
import { batchField } from './state.js';
import { listOf, runSteps, withItems } from './subdocument.js';
import { joinLists } from './text.js';

/** Batches are added, and their outputs read, so many at a time. */
const AT_ONCE = 500;

const chunks = (list) =>
  Array.from({ length: Math.ceil(list.length / AT_ONCE) }, (_, i) => list.slice(i * AT_ONCE, (i + 1) * AT_ONCE));
const batchesOf = ({ count }) => Array.from({ length: count }, (_, index) => index + 1);

/** The output of a step, or the fields that part its list: what the first of them says is what `finishList` takes. */
export async function startList({ executor, job, inputs, names, signal, found }) {
  const {
    for_each,
    first_index,
    batch = {},
    steps: [step],
  } = job.data;
  const steps = [{ name: step, text: found[`step:${step}`] }];
  const list = listOf(for_each, inputs);
  if (list === undefined) return { output: await runSteps(executor, steps, inputs, { names, signal }) };
  const { items, around } = list;
  const runPart = (start, end) => {
    const part = withItems(inputs, around, items.slice(start, end).join(','));
    return runSteps(executor, steps, part, { names, signal, first_index: first_index + start });
  };
  const { outputs, done, size } = await measure(items.length, batch, runPart);
  if (done === items.length) return { output: joinLists(outputs.length === 0 ? [await runPart(0, 0)] : outputs) };

  const count = Math.ceil((items.length - done) / size);
  const split = { done, size, count, around };
  const fields = [
    [`split:${step}`, JSON.stringify(split)],
    [batchField('part', 0, step), joinLists(outputs)],
  ];
  for (const number of batchesOf(split)) {
    const start = done + (number - 1) * size;
    fields.push([batchField('item', number, step), items.slice(start, start + size).join(',')]);
  }
  return { fields };
}

/** The output of a step, once each batch has stored its own. Until then the job waits for its children. */
export async function finishList({ worker, state, job, token, split }) {
  const {
    steps: [step],
  } = job.data;
  const batches = batchesOf(split);
  const part = (number) => batchField('part', number, step);
  const stored = new Set();
  for (const some of chunks(batches.map(part))) for (const field of await state.present(some)) stored.add(field);
  const missing = batches.filter((number) => !stored.has(part(number)));
  for (const some of chunks(missing))
    await Job.createBulk(
      worker,
      some.map((number) => childOf(job, number, split)),
    );
  if (missing.length > 0) {
    if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
    return finishList({ worker, state, job, token, split });
  }
  const outputs = [];
  for (const some of chunks([0, ...batches].map(part))) outputs.push(...Object.values(await state.read(some)));
  const without = batches.flatMap((number) => [part(number), batchField('item', number, step)]);
  return { output: joinLists(outputs), without: [...without, part(0), `split:${step}`] };
}

/** A job that is there already is not added again. */
function childOf(job, number, { around: { holder } }) {
  const { pipeline, steps, needs, runtimes, first_index, ttl_ms } = job.data;
  const { priority, removeOnFail } = job.opts;
  return {
    name: `${job.name} ${number}`,
    data: { kind: 'batch', pipeline, steps, needs, runtimes, first_index, ttl_ms, batch: number, holder },
    opts: {
      jobId: `${job.id}-batch-${number}`,
      parent: { id: job.id, queue: job.queueQualifiedName },
      priority,
      removeOnFail,
      removeOnComplete: true,
      failParentOnFailure: true,
    },
  };
}

/** The output of one batch. */
export async function runBatch({ executor, job, names, inputs, signal, found }) {
  const {
    steps: [step],
    batch,
    first_index,
  } = job.data;
  const items = found[batchField('item', batch, step)];
  if (items === null) throw failure('unknown_job', 'the pipeline has gone', { pipeline: job.data.pipeline });
  const { done, size, around } = JSON.parse(found[`split:${step}`]);
  const first = first_index + done + (batch - 1) * size;
  const steps = [{ name: step, text: found[`step:${step}`] }];
  return runSteps(executor, steps, withItems(inputs, around, items), { names, signal, first_index: first });
}
