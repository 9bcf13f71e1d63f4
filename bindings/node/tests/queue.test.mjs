// More calls at once than the library takes: the others wait here.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { configure } from '../index.mjs';
import { open, rejection, runtimes_dir } from './shop.mjs';

configure({ queue: 3 });

test('calls beyond the queue wait for a place', async (t) => {
  const executor = await open(t);
  const call = async (/** @type {number} */ n) => (await executor.execute('passthrough', { context: n })).context;
  const all = Array.from({ length: 200 }, (_, n) => n);
  assert.deepEqual(await Promise.all(all.map(call)), all);
});

test('they begin in their order', async (t) => {
  /** @type {(() => void)[]} */
  const answers = [];
  const executor = await open(t, {}, { echo: () => new Promise((resolve) => answers.push(() => resolve(1))) });
  const three = Array.from({ length: 3 }, () => executor.execute('echo'));
  /** @type {number[]} */
  const ended = [];
  const call = async (/** @type {number} */ n) => {
    await executor.execute('passthrough');
    ended.push(n);
  };
  const others = Array.from({ length: 20 }, (_, n) => call(n));
  while (answers.length < 3) await setImmediate();
  // From here on there is one place, and one after the other has it.
  answers[0]();
  await Promise.all(others);
  assert.deepEqual(ended, others.map((_, n) => n));
  answers.forEach((answer) => answer());
  await Promise.all(three);
});

test('they may be aborted, and have a deadline', async (t) => {
  /** @type {(() => void)[]} */
  const answers = [];
  const executor = await open(t, {}, { echo: () => new Promise((resolve) => answers.push(() => resolve(1))) });
  const three = Array.from({ length: 3 }, () => executor.execute('echo'));
  const controller = new AbortController();
  const reason = new Error('enough');
  const aborted = executor.execute('passthrough', { signal: controller.signal });
  const late = executor.execute('passthrough', { limits: { timeout_ms: 50 } });
  const last = executor.execute('passthrough', { context: 1 });
  controller.abort(reason);
  await assert.rejects(aborted, reason);
  assert.deepEqual((await rejection(late, 'overloaded')).details, { queue: 3, timeout_ms: 50 });
  while (answers.length < 3) await setImmediate();
  answers.forEach((answer) => answer());
  assert.ok((await Promise.all(three)).every(({ output }) => output === 1));
  assert.equal((await last).context, 1);
});

test('registrations wait as well', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'arawn-node-'));
  t.after(() => rm(directory, { recursive: true }));
  const executor = await open(t, { runtimes_dir: directory });
  const path = join(runtimes_dir, 'custom/writes.wasm');
  const names = ['a', 'b', 'c', 'd', 'e'];
  const registered = await Promise.all(names.map((name) => executor.register({ name, path, timeout_ms: 300_000 })));
  assert.deepEqual(registered.map(({ name }) => name), names);
});

test('they end with their executor', async (t) => {
  const executor = await open(t, {}, { echo: () => new Promise(() => {}) });
  const calls = Array.from({ length: 8 }, () => rejection(executor.execute('echo'), 'unknown_executor'));
  await executor.close();
  await Promise.all(calls);
});
