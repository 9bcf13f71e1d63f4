import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { open, rejection, runtimes_dir } from './shop.mjs';

test('a runtime is registered', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'arawn-node-'));
  t.after(() => rm(directory, { recursive: true }));
  const executor = await open(t, { runtimes_dir: directory });
  const path = join(runtimes_dir, 'custom/fails.wasm');
  await executor.register({ name: 'r', path, config_schema: { required: ['luck'] } });
  await rejection(executor.register({ name: 'r', path }), 'runtime_exists');
  await rejection(executor.execute('r'), 'invalid_request');
  await executor.register({ name: 'r', path, replace: true, timeout_ms: 300_000 });
  await rejection(executor.register({ name: 'r', path, replace: true, timeout_ms: 0 }), 'invalid_request');
  const reason = new Error('enough');
  const stopped = executor.register({ name: 'r', path }, { signal: AbortSignal.abort(reason) });
  await assert.rejects(stopped, reason);
  await rejection(executor.execute('r'), 'runtime_error');
});

test('a runtime is registered as bytes, listed, shown and removed', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'arawn-node-'));
  t.after(() => rm(directory, { recursive: true }));
  const executor = await open(t, { runtimes_dir: directory });
  const bytes = await readFile(join(runtimes_dir, 'custom/writes.wasm'));
  const inspected = await executor.register({ name: 'r', bytes, description: 'writes' });
  assert.deepEqual([inspected.name, inspected.bytes, inspected.problem], ['r', bytes.length, null]);
  assert.equal(await executor.execute('r'), 1);
  const listed = (await executor.list()).find(({ name }) => name === 'r');
  assert.deepEqual(listed, { name: 'r', category: 'custom', description: 'writes', has_config_schema: false });
  assert.deepEqual(await executor.inspect('r'), inspected);
  assert.equal((await executor.stats()).executor.executor, executor.id);
  await executor.remove('r');
  await rejection(executor.remove('r'), 'unknown_runtime');
  await rejection(executor.inspect('r'), 'unknown_runtime');
  // @ts-expect-error
  await assert.rejects(executor.register({ name: 'r', bytes: [0] }), TypeError);
});

test('a script is registered', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'arawn-node-'));
  t.after(() => rm(directory, { recursive: true }));
  const executor = await open(t, { runtimes_dir: directory });
  const script = 'export default ({ context }) => context.n * 2';
  await executor.register({ name: 'twice', script, language: 'javascript' });
  assert.equal(await executor.execute('twice', { context: { n: 21 } }), 42);
  const broken = { name: 'twice', script: 'return\n  function(', language: /** @type {const} */ ('lua'), replace: true };
  const { details } = await rejection(executor.register(broken), 'script_invalid');
  assert.deepEqual([details.runtime, details.file, details.line], ['twice', 'twice.lua', 2]);
  assert.equal(await executor.execute('twice', { context: { n: 4 } }), 8);
  const path = join(directory, 'file.lua');
  await writeFile(path, 'return function() return 7 end');
  await executor.register({ name: 'file', path });
  assert.equal(await executor.execute('file'), 7);
  // @ts-expect-error
  await rejection(executor.register({ name: 'twice', script, replace: true }), 'invalid_request');
  // @ts-expect-error
  await rejection(executor.register({ name: 'twice', script, path, language: 'lua' }), 'invalid_request');
});
