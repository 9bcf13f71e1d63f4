import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Json } from '../index.mjs';
import { open, rejection, runtimes_dir } from './shop.mjs';

/** A step that asks the function `f` of this program for its item. */
const ask = { name: 'ask', runtime: 'javascript', config: { script: 'export default (i) => arawn.call("f", i.context.item)' } };
/**
 * What both ways to run a pipeline give.
 * @param {import('../index.mjs').Executor} executor
 * @param {any} document
 * @param {any} [options]
 * @returns {Promise<any>}
 */
async function both(executor, document, options) {
  const output = await executor.executePipeline(document, options);
  assert.deepEqual(executor.executePipelineSync(document, options), output);
  return output;
}

test('outputs go from step to step', async (t) => {
  const executor = await open(t);
  const steps = [
    { name: 'first', runtime: 'passthrough', config: { n: 1.5, text: '<a & b> \u2028 😀' } },
    { name: 'other', runtime: 'passthrough', needs: [] },
    { name: 'last', runtime: 'transform', config: { template: '{{g}} {{first.config.n}}' }, needs: ['other', 'first'] },
  ];
  const context = { g: 'given' };
  assert.equal(await both(executor, { steps }, { context }), 'given 1.5');
  assert.deepEqual(await both(executor, { steps, output: 'first' }, { context }), { config: steps[0].config, context });
  assert.deepEqual(await both(executor, { steps: [steps[1]] }), { config: {}, context: {} });
});

test('figures are told of each step', async (t) => {
  const executor = await open(t);
  const steps = [
    { name: 'list', runtime: 'passthrough', config: [7, 8, 9] },
    { name: 'each', runtime: 'transform', config: { expression: 'item' }, for_each: 'list.config' },
  ];
  const { output, meta } = await executor.executePipeline({ steps }, { meta: true });
  const raw = executor.executePipelineSync({ steps }, { meta: true, raw: true });
  assert.deepEqual([output, raw.output], [[7, 8, 9], '[7,8,9]']);
  for (const figures of [meta, raw.meta]) {
    assert.equal(typeof figures.total_us, 'number');
    const told = figures.steps.map(({ name, runtime, tries, items }) => [name, runtime, tries, items]);
    assert.deepEqual(told, [['list', 'passthrough', 1, undefined], ['each', 'transform', 3, 3]]);
    assert.ok(figures.steps[0].ended_us <= figures.steps[1].started_us);
  }
});

test('steps that do not wait for each other run at the same time', async (t) => {
  /** @type {(() => void)[]} */
  const answers = [];
  const f = () =>
    new Promise((/** @type {(answer: number) => void} */ resolve) => {
      answers.push(() => resolve(answers.length));
      if (answers.length === 2) answers.forEach((answer) => answer());
    });
  const executor = await open(t, {}, { echo: f, call: f });
  const steps = [
    { name: 'a', runtime: 'echo' },
    { name: 'b', runtime: 'call', needs: [] },
    { name: 'both', runtime: 'transform', config: { mappings: { a: 'a.output', b: 'b.output' } }, needs: ['a', 'b'] },
  ];
  assert.deepEqual(await executor.executePipeline({ steps }), { a: 2, b: 2 });
});

test('a step runs for each item of a list, and is tried again', async (t) => {
  const left = new Map([[20, 2]]);
  const executor = await open(t, {}, {
    f: (item) => {
      const failures = left.get(item) ?? 0;
      left.set(item, failures - 1);
      if (failures > 0) throw new Error(`not yet: ${failures}`);
      return item + 1;
    },
  });
  const each = { ...ask, for_each: 'items', retry: { attempts: 3 } };
  const context = { items: [10, 20, 30] };
  const { output, meta } = await executor.executePipeline({ steps: [each] }, { context, meta: true });
  assert.deepEqual([output, meta.steps[0].items, meta.steps[0].tries], [[11, 21, 31], 3, 5]);
  left.set(20, 2);
  const twice = { ...each, first_index: 100, retry: { attempts: 2 } };
  const { message, details } = await rejection(executor.executePipeline({ steps: [twice] }, { context }), 'runtime_error');
  assert.match(message, /^step `ask`, item 101: .*not yet: 1/);
  assert.deepEqual([details.step, details.index, details.completed], ['ask', 101, []]);
});

test('a step that fails ends the pipeline, which may go on there', async (t) => {
  const executor = await open(t);
  const steps = [
    { name: 'first', runtime: 'passthrough', config: 1 },
    { name: 'second', runtime: 'transform', config: { expression: 'first.config' } },
    { name: 'third', runtime: 'fails', needs: ['second'] },
  ];
  const { message, details } = await rejection(executor.executePipeline({ steps }), 'runtime_error');
  assert.equal(message, 'step `third`: no luck');
  assert.deepEqual([details.step, details.completed], ['third', ['first', 'second']]);
  assert.ok(!('index' in details));
  const expected = { name: 'ArawnError', code: 'runtime_error', message };
  assert.throws(() => executor.executePipelineSync({ steps }), expected);
  assert.throws(() => executor.executePipelineSync({ steps }, { raw: true }), expected);
  await assert.rejects(executor.executePipeline({ steps }, { raw: true }), expected);
  // The steps that it has outputs of do not run.
  const completed = { third: { luck: true }, first: undefined };
  const { output, meta } = await executor.executePipeline({ steps }, { completed, meta: true });
  assert.deepEqual([output, meta.steps.map(({ name }) => name)], [{ luck: true }, ['first', 'second']]);
  const failed = await rejection(executor.executePipeline({ steps }, { completed: { second: 2 } }), 'runtime_error');
  // `third` does not wait for `first`, which may have ended by then.
  assert.deepEqual(failed.details.completed.filter((/** @type {string} */ name) => name !== 'first'), ['second']);
  await rejection(executor.executePipeline({ steps }, { completed: { fourth: 1 } }), 'invalid_request');
});

test('what a document has not is refused by its path', async (t) => {
  const executor = await open(t);
  const a = { name: 'a', runtime: 'passthrough' };
  /** @type {[any, string][]} */
  const cases = [
    [{ steps: [a, { ...a, name: 'b', need: ['a'] }] }, 'pipeline.steps[1].need'],
    [{ steps: [{ ...a, needs: ['b'] }] }, 'pipeline.steps[0].needs[0]'],
    [{ steps: [{ ...a, config: new Json('1') }, undefined] }, 'pipeline.steps[1]'],
    [{ steps: [{ ...a, config: new Json('1'), limit: {} }] }, 'pipeline.steps[0].limit'],
    [{ steps: [a], outputs: 'a' }, 'pipeline.outputs'],
    [undefined, 'pipeline'],
    [null, 'pipeline'],
    ['{"steps":[]}', 'pipeline'],
  ];
  for (const [document, path] of cases) {
    assert.equal((await rejection(executor.executePipeline(document), 'invalid_request')).details.path, path);
    assert.throws(() => executor.executePipelineSync(document), { code: 'invalid_request' });
  }
  const unknown = await rejection(executor.executePipeline({ steps: [{ ...a, runtime: 'pasthrough' }] }), 'unknown_runtime');
  assert.deepEqual(unknown.details.near, ['passthrough']);
  /** @type {[any, any, string][]} */
  const values = [
    [{ steps: [a, { ...a, config: [NaN] }] }, {}, 'pipeline.steps[1].config[0] is NaN, which JSON has not'],
    [{ steps: [{ ...a, config: new Json('1') }, { ...a, config: 1n }] }, {}, 'pipeline.steps[1].config is a bigint: '],
    [{ steps: [{ ...a, config: [new Json('1')] }] }, {}, 'pipeline.steps[0].config[0] is a Json within another value'],
    [{ steps: [a] }, { completed: { a: NaN } }, 'completed.a is NaN, which JSON has not'],
    [{ steps: [a] }, { context: { m: new Map() } }, 'context.m is a Map, which JSON has not'],
  ];
  for (const [document, options, message] of values) {
    const refused = (/** @type {Error} */ error) => error instanceof TypeError && error.message.startsWith(message);
    await assert.rejects(executor.executePipeline(document, options), refused);
  }
  for (const completed of ['{}', new Json('{}'), new Map([['a', 1]]), [1], null]) {
    // @ts-expect-error
    await assert.rejects(executor.executePipeline({ steps: [a] }, { completed }), { name: 'TypeError', message: /`completed`/ });
  }
});

test('an option that there is not is refused', async (t) => {
  const executor = await open(t);
  const document = { steps: [{ name: 'a', runtime: 'passthrough' }] };
  const known = 'it has: context, completed, limits, meta, raw, signal, dryRun';
  /** @type {[any, string][]} */
  const cases = [
    [{ contxt: {} }, '`contxt` (did you mean `context`?)'],
    [{ complete: {} }, '`complete` (did you mean `completed`?)'],
    [{ dry_run: true }, '`dry_run` (did you mean `dryRun`?)'],
    [{ job: 'a' }, '`job`'],
  ];
  for (const [options, option] of cases) {
    const message = `a pipeline has no option ${option}; ${known}`;
    await assert.rejects(executor.executePipeline(document, options), { name: 'TypeError', message });
    assert.throws(() => executor.executePipelineSync(document, options), TypeError);
  }
  // @ts-expect-error
  assert.throws(() => executor.executePipelineSync(document, { signal: AbortSignal.timeout(1) }), TypeError);
  // @ts-expect-error
  await rejection(executor.executePipeline(document, { limits: { timeout: 1 } }), 'invalid_request');
  // @ts-expect-error
  await rejection(executor.executePipeline(document, { context: [] }), 'invalid_request');
});

test('a dry run tells the plan, and runs nothing', async (t) => {
  const executor = await open(t);
  const document = { steps: [{ name: 'a', runtime: 'fails' }, { name: 'b', runtime: 'fails' }], output: 'a' };
  const plan = { steps: [{ name: 'a', needs: [] }, { name: 'b', needs: ['a'] }], output: 'a' };
  assert.deepEqual(await both(executor, document, { dryRun: true, meta: true, completed: { a: 1 } }), plan);
  assert.deepEqual(await both(executor, JSON.stringify(document), { dryRun: true, raw: true }), plan);
  await rejection(executor.executePipeline({ ...document, output: 'c' }, { dryRun: true }), 'invalid_request');
  await rejection(executor.executePipeline(document, { dryRun: false }), 'runtime_error');
  const reason = new Error('enough');
  await assert.rejects(executor.executePipeline(document, { dryRun: true, signal: AbortSignal.abort(reason) }), reason);
});

test('JSON as texts keeps every digit', async (t) => {
  const executor = await open(t);
  const digits = '{"n": 12345678901234567890, "e":1E2}';
  const steps = [{ name: 'a', runtime: 'passthrough', config: new Json(digits) }, { name: 'b', runtime: 'passthrough' }];
  const of_a = `{"config":${digits},"context":{"m":1.10}}`;
  const of_b = `{"config":{},"context":{"m":1.10,"a":${of_a}}}`;
  assert.equal(await both(executor, { steps }, { context: '{"m":1.10}', raw: true }), of_b);
  assert.equal(await both(executor, { steps }, { context: new Json('{"m":1.10}'), raw: true }), of_b);
  assert.deepEqual(await both(executor, { steps }, { context: new Json('{"m":1.10}') }), JSON.parse(of_b));
  const text = `{"steps":[{"name":"a","runtime":"passthrough","config":${digits}}]}`;
  assert.equal(await both(executor, text, { raw: true, context: '{"m":1.10}' }), of_a);
  assert.equal(await both(executor, new Json(text), { raw: true, context: { m: 1 } }), of_a.replace('1.10', '1'));
  for (const completed of [{ a: digits }, { a: new Json(digits) }]) {
    assert.equal(await both(executor, { steps }, { completed, raw: true }), `{"config":{},"context":{"a":${digits}}}`);
  }
  // Without `raw` a string is a string.
  assert.deepEqual((await both(executor, { steps }, { completed: { a: digits } })).context.a, digits);
});

test('texts that are not JSON are refused by their names', async (t) => {
  const executor = await open(t);
  const document = '{"steps":[{"name":"a","runtime":"passthrough"}]}';
  /** @type {[string, any, RegExp][]} */
  const cases = [
    [`${document},"meta":true`, {}, /^pipeline of a raw call is not JSON/],
    [document.slice(0, -1), {}, /^pipeline of a raw call is not JSON/],
    ['{"steps":[{"name":"a","runtime":nul}]}', {}, /^pipeline of a raw call is not JSON/],
    [document, { context: '{},"meta":true' }, /^context of a raw call is not JSON/],
    [document, { context: '{"a":nul}' }, /^context of a raw call is not JSON/],
    [document, { completed: { a: '1},"meta":true' } }, /^completed\.a of a raw call is not JSON/],
    [document, { completed: { a: 'nul' } }, /^completed\.a of a raw call is not JSON/],
  ];
  for (const [text, options, message] of cases) {
    const refused = { name: 'SyntaxError', message };
    for (const call of [{ ...options, raw: true }, { ...options, raw: true, dryRun: true }]) {
      await assert.rejects(executor.executePipeline(text, call), refused);
      assert.throws(() => executor.executePipelineSync(text, call), refused);
    }
  }
});

test('a signal stops all steps', async (t) => {
  const controllers = [new AbortController(), new AbortController()];
  let asked = 0;
  const executor = await open(t, {}, { f: () => ++asked % 2 === 0 && controllers[asked / 2 - 1].abort() });
  const endless = { runtime: 'ask-and-loop', needs: [] };
  const document = { steps: [{ ...endless, name: 'a' }, { ...endless, name: 'b' }] };
  const reason = new Error('enough');
  await assert.rejects(executor.executePipeline(document, { signal: AbortSignal.abort(reason) }), reason);
  assert.equal(asked, 0);
  // Surely while both steps run: the second one that asks aborts, and each loops once it has its answer.
  for (const { signal } of controllers) {
    await assert.rejects(executor.executePipeline(document, { signal }), { name: 'AbortError' });
  }
  const late = new AbortController();
  const steps = [{ name: 'a', runtime: 'passthrough' }];
  assert.deepEqual(await executor.executePipeline({ steps }, { signal: late.signal }), { config: {}, context: {} });
  late.abort();
  await rejection(executor.executePipeline(document, { limits: { timeout_ms: 200 } }), 'timeout');
  const other = rejection(executor.executePipeline(document), 'unknown_executor');
  await executor.close();
  await other;
  await rejection(executor.executePipeline({ steps }), 'unknown_executor');
  assert.throws(() => executor.executePipelineSync({ steps }), { code: 'unknown_executor' });
});

test('functions of this program answer the steps of a pipeline that blocks', async (t) => {
  let asked = 0;
  const executor = await open(t, { stderr_to: 'log' }, {
    f: (item) => {
      asked++;
      return item === 7 ? executor.executePipelineSync({ steps: [{ name: 'within', runtime: 'echo' }] }).output : item;
    },
    echo: () => 'from within',
    log: () => void asked++,
  });
  const items = Array.from({ length: 20 }, (_, n) => n);
  const steps = [
    { ...ask, for_each: 'items' },
    { name: 'other', runtime: 'writes', needs: [] },
    { name: 'both', runtime: 'transform', config: { mappings: { ask: 'ask', other: 'other' } }, needs: ['ask', 'other'] },
  ];
  const output = executor.executePipelineSync({ steps }, { context: { items } });
  assert.deepEqual(output, { ask: items.map((n) => (n === 7 ? 'from within' : n)), other: 1 });
  // Each item, and both lines that `writes` writes to stderr.
  assert.equal(asked, 22);
});

test('functions answer a pipeline that blocks by no promise, and other calls by promises as ever', async (t) => {
  let isAsked = () => {};
  const begun = new Promise((/** @type {(value?: undefined) => void} */ resolve) => (isAsked = resolve));
  let answer = (/** @type {number} */ _answer) => {};
  const executor = await open(t, {}, {
    error: async () => 1,
    echo: () => {
      isAsked();
      return new Promise((resolve) => (answer = resolve));
    },
    call: () => 2,
  });
  const steps = [{ name: 'a', runtime: 'error' }, { name: 'b', runtime: 'call', needs: [] }];
  assert.match(executor.executePipelineSync({ steps, output: 'a' }).error, /executePipelineSync cannot wait for the promise/);
  const other = executor.execute('echo');
  await begun;
  assert.equal(executor.executePipelineSync({ steps: steps.slice(1) }).output, 2);
  answer(3);
  assert.equal((await other).output, 3);
});

test('an executor may be closed within a pipeline that blocks', async (t) => {
  const executor = await open(t, {}, { call: () => executor[Symbol.dispose]() });
  const steps = [{ name: 'a', runtime: 'call' }];
  let ended;
  try {
    ended = executor.executePipelineSync({ steps });
  } catch (error) {
    ended = error;
  }
  // The guest has an answer, or is told that there is nobody to ask any more, or has ended with the executor.
  assert.ok(ended.status === 'ok' || ['host_function_failed', 'unknown_executor'].includes(ended.code), `${ended}`);
  assert.throws(() => executor.executePipelineSync({ steps }), { code: 'unknown_executor' });
});

test('a worker thread may end inside a function that a pipeline calls', async () => {
  const code = `(async () => {
    const { Executor } = await import('${new URL('../index.mjs', import.meta.url)}');
    const config = { runtimes_dir: ${JSON.stringify(runtimes_dir)}, cache_dir: null, limits: { timeout_ms: 5000 } };
    const executor = new Executor(config, { echo: () => process.exit(7) });
    executor.executePipelineSync({ steps: [{ name: 'a', runtime: 'echo' }, { name: 'b', runtime: 'echo', needs: [] }] });
  })()`;
  const workers = Array.from({ length: 3 }, () => new Worker(code, { eval: true }));
  const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
  assert.deepEqual(codes.flat(), [7, 7, 7]);
});
