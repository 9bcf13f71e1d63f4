import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import * as arawn from '../index.mjs';
import { open, rejection } from './shop.mjs';

test('the module exports what its types say', async () => {
  const types = await readFile(new URL('../index.d.ts', import.meta.url), 'utf8');
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

test('the output as a text keeps them, too', async (t) => {
  const executor = await open(t);
  const texts = [
    '{"n": 9007199254740993, "list": [1.10, "]}\\"\\\\", {"a":{}}], "e":1E2}',
    '"}\\\\"',
    '9007199254740993',
    '[]',
    '[[],{},[{"output":"x","job":",\\""}]]',
    'null',
    `"${'\\"é'.repeat(300_000)}"`,
  ];
  const run = (/** @type {string} */ text, /** @type {boolean} */ raw) =>
    executor.execute('passthrough', { context: new arawn.Json(text), raw });
  const outputs = await Promise.all(texts.flatMap((text) => [run(text, true), run(text, false)]));
  for (const [index, text] of texts.entries()) {
    assert.equal(outputs[2 * index], `{"config":{},"context":${text}}`);
    assert.deepEqual(outputs[2 * index + 1], { config: {}, context: JSON.parse(text) });
  }
  const config = { mappings: { n: 'n' } };
  const picked = await executor.execute('transform', { config, context: new arawn.Json(texts[0]), raw: true });
  assert.equal(picked, '{"n":9007199254740993}');
  const again = await executor.execute('passthrough', { context: new arawn.Json(picked), raw: true });
  assert.equal(again, '{"config":{},"context":{"n":9007199254740993}}');
  assert.equal((await rejection(executor.execute('fails', { raw: true }), 'runtime_error')).message, 'no luck');
  await rejection(executor.execute('transfrom', { raw: true }), 'unknown_runtime');
});

test('a raw call takes texts', async (t) => {
  const executor = await open(t);
  const text = '{"n": 9007199254740993, "e":1E2}';
  const [config, context] = [text, '"a text"'];
  const whole = `{"config":${text},"context":"a text"}`;
  assert.equal(await executor.execute('passthrough', { config, context, raw: true }), whole);
  assert.equal(executor.executeSync('passthrough', { config, context, raw: true }), whole);
  const { output, meta } = await executor.execute('passthrough', { config, context, raw: true, meta: true });
  assert.deepEqual([output, meta.runtime], [whole, 'passthrough']);
  // What is not whole could pass for other keys of the request.
  const broken = [
    '{}},"limits":{"timeout_ms":1},"input":{"config":{}', '1,"context":2', '', ' ', '{} {}', 'NaN', '{"a":1', '[1]]', '"', '"\\',
    '"\\"', '1\0', '\0', '}{', '1:2', '{"a"}', '"a"b"c"',
  ];
  for (const config of broken) {
    const refused = { name: 'SyntaxError', message: /^config of a raw call is not JSON: / };
    await assert.rejects(executor.execute('passthrough', { config, raw: true }), refused);
    assert.throws(() => executor.executeSync('passthrough', { config, raw: true }), refused);
  }
  for (const config of ['"}]{[,"', '"\\\\"', '"\\",}"', ' [ { "a" : [ ] } , 1 ] ']) {
    const output = await executor.execute('passthrough', { config, raw: true });
    assert.equal(output, `{"config":${config.trim()},"context":{}}`);
  }
});

test('a call may block, and may tell its figures', async (t) => {
  const executor = await open(t);
  const config = { text: '<a & b> \u2028 😀' };
  assert.deepEqual(executor.executeSync('passthrough', { config }), { config, context: {} });
  assert.deepEqual(executor.executeSync('passthrough'), { config: {}, context: {} });
  const { output, meta } = executor.executeSync('passthrough', { config, meta: true });
  assert.deepEqual([output, meta.runtime, typeof meta.run_us], [{ config, context: {} }, 'passthrough', 'number']);
  const later = await executor.execute('writes', { meta: true });
  assert.deepEqual([later.output, later.meta.stderr], [1, 'first\nlast']);
  assert.throws(() => executor.executeSync('fails'), { name: 'ArawnError', code: 'runtime_error', message: 'no luck' });
  assert.throws(() => executor.executeSync('fails', { raw: true }), { code: 'runtime_error' });
});

test('an executor is made and closed without promises, too', () => {
  const executor = new arawn.Executor({ id: 'at-once', cache_dir: null });
  assert.equal(executor.executeSync('passthrough').context.a, undefined);
  assert.throws(() => new arawn.Executor({ id: 'at-once' }), { code: 'executor_exists' });
  // @ts-expect-error
  assert.throws(() => new arawn.Executor({ limit: {} }), { code: 'invalid_config', message: /`limits`/ });
  assert.throws(() => new arawn.Executor({ id: 'f', capabilities: { host_functions: [] } }, { f: () => 1 }), arawn.ArawnError);
  new arawn.Executor({ id: 'f', cache_dir: null })[Symbol.dispose]();
  executor[Symbol.dispose]();
  executor[Symbol.dispose]();
  assert.throws(() => executor.executeSync('passthrough'), { code: 'unknown_executor' });
  new arawn.Executor({ id: 'at-once', cache_dir: null })[Symbol.dispose]();
});

test('the package has one module for both kinds of import', async () => {
  const required = createRequire(import.meta.url)('../index.js');
  assert.equal(required.Executor, arawn.Executor);
  assert.deepEqual(Object.keys(required).sort(), Object.keys(arawn).sort());
});

test('an option that there is not is refused', async (t) => {
  const executor = await open(t);
  const known = 'it has: config, context, limits, meta, raw, signal';
  /** @type {[any, string][]} */
  const cases = [
    [{ contxt: {} }, '`contxt` (did you mean `context`?)'],
    [{ limit: { timeout_ms: 1 } }, '`limit` (did you mean `limits`?)'],
    [{ config: {}, Context: {} }, '`Context` (did you mean `context`?)'],
    [{ deadline: 1 }, '`deadline`'],
  ];
  for (const [call, option] of cases) {
    const message = `a call has no option ${option}; ${known}`;
    await assert.rejects(executor.execute('passthrough', call), { name: 'TypeError', message });
  }
  // @ts-expect-error
  assert.throws(() => executor.executeSync('passthrough', { signal: AbortSignal.timeout(1) }), TypeError);
  for (const call of ['context', null, 1]) {
    // @ts-expect-error
    await assert.rejects(executor.execute('passthrough', call), TypeError);
  }
  // @ts-expect-error
  const limits = await rejection(executor.execute('passthrough', { limits: { timeout: 1 } }), 'invalid_request');
  assert.match(limits.message, /timeout.*timeout_ms/);
  // @ts-expect-error
  await rejection(arawn.Executor.open({ limit: {} }), 'invalid_config');
  // @ts-expect-error
  await assert.rejects(executor.register({ name: 'r', path: 'r.wasm', executor: 'another' }), TypeError);
});

test('what JSON has not is refused with its path', async (t) => {
  const executor = await open(t, {}, {
    // @ts-expect-error
    echo: () => ({ deep: [new Map()] }),
    call: () => new arawn.Json('[1.10]'),
  });
  /** @type {any} */
  const within = { list: [] };
  within.list.push(within);
  /** @type {[any, string][]} */
  const cases = [
    [{ a: [0, NaN] }, 'context.a[1] is NaN, which JSON has not'],
    [{ n: 1n }, 'context.n is a bigint: pass a number, a string, or all of it as a Json'],
    [{ m: new Map([[1, 2]]) }, 'context.m is a Map, which JSON has not'],
    [{ p: Promise.resolve(1) }, 'context.p is a Promise, which JSON has not'],
    [{ b: new Uint8Array(2) }, 'context.b is a Uint8Array, which JSON has not'],
    [[undefined], 'context[0] is undefined, which JSON has not'],
    [{ f: () => 1 }, 'context.f is function, which JSON has not'],
    [() => 1, 'context is function, which JSON has not'],
    [{ order: new arawn.Json('{}') }, 'context.order is a Json within another value: it stands for the whole'],
    [within, 'context.list[0] is within itself'],
  ];
  for (const [context, message] of cases) {
    await assert.rejects(executor.execute('passthrough', { context }), { name: 'TypeError', message });
  }
  const same = { a: 1 };
  const context = { when: new Date(0), left: undefined, both: [same, same] };
  const reply = await executor.execute('passthrough', { context });
  assert.deepEqual(reply.context, JSON.parse(JSON.stringify(context)));
  assert.equal((await executor.execute('echo')).error, 'output.deep[0] is a Map, which JSON has not');
  assert.equal(await executor.execute('call', { raw: true }), '{"status":"ok","output":[1.10]}');
});

test('host functions are granted as the config says', async (t) => {
  const names = ['missing', 'echo'];
  const executor = await open(t, { capabilities: { host_functions: names } }, { echo: (_request, text) => text });
  assert.deepEqual(await executor.execute('echo'), { status: 'ok', output: '{"from":"the guest"}' });
  assert.match((await executor.execute('missing')).error, /has not set it/);
  const other = await open(t, {}, { echo: () => 1 });
  assert.doesNotMatch((await other.execute('missing')).error, /has not set it/);
  await rejection(arawn.Executor.open({ capabilities: { host_functions: ['f'] } }, { g: () => 1 }), 'invalid_request');
  // @ts-expect-error
  await rejection(arawn.Executor.open({ capabilities: { host_functions: 'f' } }), 'invalid_config');
  // @ts-expect-error
  await assert.rejects(arawn.Executor.open({}, { f: 'g' }), { name: 'TypeError', message: /`f` is not a function/ });
  await assert.rejects(arawn.Executor.open({ limits: { fuel: NaN } }), { message: /^request.limits.fuel is NaN/ });
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
  assert.deepEqual([unknown.details.runtime, unknown.details.near], ['transfrom', ['transform']]);
  assert.equal((await rejection(executor.execute('fails'), 'runtime_error')).message, 'no luck');
  const trap = await rejection(executor.execute('unreachable'), 'trap');
  assert.equal(typeof trap.details.trap, 'string');
  await rejection(executor.execute('loop', { limits: { timeout_ms: 500 } }), 'timeout');
  await rejection(executor.execute('passthrough', { limits: { timeout_ms: 400_000 } }), 'invalid_request');
  await rejection(arawn.Executor.open({ limits: { timeout_ms: -1 } }), 'invalid_config');
  await rejection(arawn.Executor.open({ id: executor.id }), 'executor_exists');
  assert.throws(() => arawn.configure({ workers: 2 }), { code: 'invalid_config' });
  // @ts-expect-error
  await assert.rejects(executor.execute('passthrough', { config: 1n }), TypeError);
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
  for (const { message, details } of await ended) {
    assert.equal(message, 'the executor "again" is closed');
    assert.deepEqual(details, { executor: 'again' });
  }
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
