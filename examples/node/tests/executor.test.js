import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as arawn from '../arawn.js';
import { open, rejection, runtimes_dir } from './shop.js';

test('the module exports what its types say', async () => {
  const types = await readFile(new URL('../arawn.d.ts', import.meta.url), 'utf8');
  const values = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(Object.keys(arawn).sort(), values.sort());
});

test('calls reach their runtime and back', async (t) => {
  const executor = await open(t, { id: 'named' });
  assert.equal(executor.id, 'named');
  assert.match(arawn.version(), /^\d+\.\d+\.\d+$/);
  assert.ok(arawn.stats().executors >= 1);
  const config = { n: 1.5, text: '<a & b> \u2028 😀', list: [null, true, { deep: [] }] };
  assert.deepEqual(await executor.execute('passthrough', { config }), { config, context: {} });
  assert.deepEqual(await executor.execute('passthrough', { context: [1] }), { config: {}, context: [1] });
  assert.deepEqual(await executor.execute('passthrough'), { config: {}, context: {} });
});

test('JSON as a text keeps the digits that numbers lose', async (t) => {
  const executor = await open(t);
  const context = new arawn.Json('{"n": 9007199254740993}');
  assert.equal(await executor.execute('transform', { config: { template: '{{n}}' }, context }), '9007199254740993');
  assert.throws(() => new arawn.Json('{"n":'), SyntaxError);
});

test('a call may be large', async (t) => {
  const executor = await open(t);
  const text = 'é'.repeat(4_000_000);
  const { context } = await executor.execute('passthrough', { context: { text } });
  assert.equal(context.text, text);
});

test('what is wrong has a code and details', async (t) => {
  const executor = await open(t);
  const unknown = await rejection(executor.execute('transfrom'), 'unknown_runtime');
  assert.deepEqual(unknown.details, { runtime: 'transfrom', near: ['transform'] });
  assert.equal((await rejection(executor.execute('fails'), 'runtime_error')).message, 'no luck');
  const trap = await rejection(executor.execute('unreachable'), 'trap');
  assert.equal(typeof trap.details.trap, 'string');
  await rejection(executor.execute('loop', { limits: { timeout_ms: 500 } }), 'timeout');
  await rejection(executor.execute('passthrough', { limits: { timeout_ms: 400_000 } }), 'invalid_request');
  await rejection(arawn.Executor.open({ limits: { timeout_ms: -1 } }), 'invalid_config');
  await rejection(arawn.Executor.open({ id: executor.id }), 'executor_exists');
  assert.throws(() => arawn.configure({ workers: 2 }), { code: 'invalid_config' });
  await assert.rejects(executor.execute('passthrough', { config: 1n }), TypeError);
});

test('a runtime is registered', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'arawn-node-'));
  t.after(() => rm(directory, { recursive: true }));
  const executor = await open(t, { runtimes_dir: directory });
  const path = join(runtimes_dir, 'custom/fails.wasm');
  await executor.register({ name: 'r', path, config_schema: { required: ['luck'] } });
  await rejection(executor.register({ name: 'r', path }), 'runtime_exists');
  await rejection(executor.execute('r'), 'invalid_request');
  await executor.register({ name: 'r', path, replace: true });
  await rejection(executor.execute('r'), 'runtime_error');
});

test('a signal stops a call, at any time', async (t) => {
  const aborted = new AbortController();
  const executor = await open(t, {}, { f: () => aborted.abort() });
  const reason = new Error('enough');
  await assert.rejects(executor.execute('loop', { signal: AbortSignal.abort(reason) }), reason);
  for (const after of [0, 1, 20]) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), after);
    await assert.rejects(executor.execute('loop', { signal: controller.signal }), reason);
  }
  const controller = new AbortController();
  const begun = executor.execute('loop', { signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(begun, reason);
  await assert.rejects(executor.execute('loop', { signal: AbortSignal.timeout(20) }), { name: 'TimeoutError' });
  // Surely within a call: by a function that the guest calls before it loops.
  await assert.rejects(executor.execute('ask-and-loop', { signal: aborted.signal }), { name: 'AbortError' });
  // One that comes too late changes nothing, and other calls go on.
  const late = new AbortController();
  assert.deepEqual(await executor.execute('passthrough', { signal: late.signal }), { config: {}, context: {} });
  late.abort();
});

test('closing ends all calls', async (t) => {
  const executor = await open(t, { id: 'again' });
  const controller = new AbortController();
  const limits = { timeout_ms: 2000 };
  const calls = Array.from({ length: 8 }, () => executor.execute('loop', { limits, signal: controller.signal }));
  const ended = Promise.all(calls.map((call) => rejection(call, 'unknown_executor')));
  await executor.close();
  await ended;
  await executor.close();
  // Its name is free, and whoever has the closed one does not reach the new one by it.
  await using_(await arawn.Executor.open({ id: 'again', cache_dir: null }), async () => {
    controller.abort();
    await rejection(executor.execute('passthrough'), 'unknown_executor');
    await rejection(executor.register({ name: 'r', path: 'r.wasm' }), 'unknown_executor');
  });
  await (await arawn.Executor.open({ id: 'again', cache_dir: null })).close();
});

/**
 * As `await using` does in newer versions of the language.
 * @param {AsyncDisposable} resource
 * @param {() => Promise<void>} f
 */
async function using_(resource, f) {
  try {
    await f();
  } finally {
    await resource[Symbol.asyncDispose]();
  }
}
