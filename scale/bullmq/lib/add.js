import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Executor } from 'arawn';
import { failure, within } from './errors.js';
import { flowOf } from './flow.js';
import * as library from './library.js';
import { checkOptions } from './options.js';
import { planOf } from './plan.js';
import { sha256Of } from './runtimes.js';
import { PipelineState } from './state.js';
import { storeOf } from './stores.js';
import { runSteps } from './subdocument.js';
import { locateList } from './text.js';

/** A day: how long results are kept, and BullMQ's jobs with them. */
const TTL_MS = 86_400_000;
const GATE_MS = 10_000;
const TIMEOUT_MS = 10_000;

/** Adds the jobs of a pipeline, as `FlowProducer.add` adds those of a flow. */
export async function addPipeline(flowProducer, document, options = {}) {
  const given = checkOptions(options);
  const id = given.id ?? randomUUID();
  const executor = given.executor ?? (await Executor.open());
  try {
    const resolved = await library.check(executor, document, given);
    const [text, inputs] = [library.documentOf(document, given.raw), inputsOf(given)];
    const stranger = Object.keys(given.steps).find((name) => !resolved.steps.some((step) => step.name === name));
    if (stranger !== undefined)
      throw new TypeError(`\`steps\` has options of \`${stranger}\`, but no step has this name`);
    const completed = Object.keys(inputs.completed);
    const planned = planOf(text, resolved, { completed, options: given.steps });
    await checkLists(executor, planned, inputs);
    const runtimes = await runtimesOf(executor, planned, given);
    const flow = flowOf(planned, id, {
      queue: given.queue ?? 'arawn',
      prefix: flowProducer.opts.prefix ?? 'bull',
      runtimes,
      job: given.job,
      steps: given.steps,
      batch: given.batch,
      gate_ms: given.gate_ms ?? GATE_MS,
      ttl_ms: given.ttl_ms ?? TTL_MS,
    });
    const fields = fieldsOf(planned, inputs, runtimes, sha256Of(JSON.stringify([text, inputs])));
    const task = { isAbandoned: false };
    const added = add(flowProducer, flow, fields, { id, store: storeOf(given.store), runtimes, task });
    return await within(given.timeout_ms ?? TIMEOUT_MS, added, () => (task.isAbandoned = true));
  } finally {
    if (given.executor === undefined) await executor.close();
  }
}

async function add(flowProducer, flow, fields, { id, store, runtimes, task }) {
  const backend = flowProducer.getBackend();
  const client = await backend.client;
  const state = new PipelineState(client, flow.prefix, id);
  for (const { sha256, bytes } of Object.values(runtimes)) {
    if (bytes !== undefined && store?.put !== undefined) await store.put(sha256, bytes);
  }
  if (task.isAbandoned) return undefined;
  if (!(await state.create(fields, flow.data.ttl_ms))) {
    const { plan } = await state.read(['plan']);
    if (plan !== fields.plan) throw failure('job_exists', `there is another pipeline \`${id}\``, { job: id });
    const there = await flowProducer.getFlow({ id, queueName: flow.queueName, prefix: flow.prefix, depth: 1 });
    if (there !== undefined) return there;
  }
  if (task.isAbandoned) return undefined;
  const added = await flowProducer.add(flow);
  await state.keep();
  return added;
}

/** `sha256` tells the document from another one under the same name. */
function fieldsOf({ steps, plan }, { context, completed, limits }, runtimes, sha256) {
  const fields = { plan: JSON.stringify({ ...plan, sha256 }), context };
  if (limits !== undefined) fields.limits = JSON.stringify(limits);
  for (const { name, text } of steps) {
    if (Object.hasOwn(completed, name)) fields[`out:${name}`] = completed[name];
    else fields[`step:${name}`] = text;
  }
  for (const [name, { bytes, ...reference }] of Object.entries(runtimes))
    fields[`runtime:${name}`] = JSON.stringify(reference);
  return fields;
}

/** Refuses a path that leads to no list in the context. The library says so before it runs anything of the step. */
async function checkLists(executor, { runs, plan: { names } }, { context }) {
  for (const { last: step } of runs) {
    const { for_each } = step;
    const keys = for_each?.split('.');
    if (keys === undefined || step.needs.includes(keys[0]) || locateList(context, keys) !== undefined) continue;
    const completed = Object.fromEntries(step.needs.map((name) => [name, 'null']));
    await runSteps(executor, [step], { context, completed }, { names });
  }
}

/** What each runtime is that is not built in: as the executor has it, or as the caller says. */
async function runtimesOf(executor, { steps }, { runtimes = {}, store, completed = {} }) {
  const found = {};
  const seen = new Set();
  for (const { name: step, runtime: name } of steps) {
    if (Object.hasOwn(completed, step) || seen.has(name)) continue;
    seen.add(name);
    if (Object.hasOwn(runtimes, name)) {
      if (runtimes[name] !== null) found[name] = runtimes[name];
      continue;
    }
    const there = await executor.inspect(name).catch((error) => {
      throw ofStep(
        error,
        step,
        steps.filter((one) => Object.hasOwn(completed, one.name)),
      );
    });
    if (there.category === 'builtin') continue;
    if (there.problem !== null) throw failure(there.problem.code, there.problem.error, { runtime: name });
    found[name] = referenceOf(there);
    if (storeOf(store)?.put === undefined) continue;
    const bytes = await readFile(there.path);
    if (sha256Of(bytes) !== there.sha256)
      throw failure('hash_mismatch', `${there.path} has changed`, { runtime: name });
    found[name].bytes = bytes;
  }
  return found;
}

/** The error of a step that cannot run, as the library words it. */
function ofStep({ message, code, details }, step, completed) {
  const names = completed.map(({ name }) => name);
  return failure(code, `step \`${step}\`: ${message}`, { ...details, step, completed: names });
}

function referenceOf({ sha256, language, args, config_schema, kind, snapshot, env }) {
  return {
    sha256,
    language: language ?? undefined,
    args: args.length > 0 ? args : undefined,
    config_schema: config_schema ?? undefined,
    snapshot: kind !== 'script' && snapshot !== null ? 'init' : undefined,
    has_env: Object.keys(env).length > 0 || undefined,
  };
}

function inputsOf({ context = {}, completed = {}, limits, raw }) {
  const known = Object.entries(completed).filter(([, output]) => output !== undefined);
  const texts = Object.fromEntries(known.map(([step, output]) => [step, library.textOf(output, raw)]));
  return { context: library.textOf(context, raw), completed: texts, limits };
}
