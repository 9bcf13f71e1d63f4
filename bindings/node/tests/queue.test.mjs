// More calls at once than the library takes: the others wait here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { configure } from '../index.mjs';
import { open, rejection } from './shop.mjs';

configure({ queue: 3 });

test('calls beyond the queue wait for a place, in their order', async (t) => {
  const executor = await open(t);
  /** @type {number[]} */
  const ended = [];
  const call = async (/** @type {number} */ n) => {
    const { context } = await executor.execute('passthrough', { context: n });
    assert.equal(context, n);
    ended.push(n);
  };
  await Promise.all(Array.from({ length: 200 }, (_, n) => call(n)));
  assert.equal(ended.length, 200);
  // Three at a time may overtake each other, and no more.
  ended.forEach((n, place) => assert.ok(Math.abs(n - place) <= 3, `${n} was number ${place}`));
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
  const { message } = await rejection(late, 'overloaded');
  assert.match(message, /within its 50 ms/);
  while (answers.length < 3) await setImmediate();
  answers.forEach((answer) => answer());
  assert.ok((await Promise.all(three)).every(({ output }) => output === 1));
  assert.equal((await last).context, 1);
});

test('they end with their executor', async (t) => {
  const executor = await open(t, {}, { echo: () => new Promise(() => {}) });
  const calls = Array.from({ length: 8 }, () => rejection(executor.execute('echo'), 'unknown_executor'));
  await executor.close();
  await Promise.all(calls);
});
