import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measure } from '../lib/sizing.js';

/** Runs `count` items of which each takes `each_ms` and the first `first_ms` more, by a clock of its own. */
async function sized(count, batch, { each_ms = 1, first_ms = 0 } = {}) {
  let clock = 0;
  const parts = [];
  const run = async (start, end) => {
    assert.equal(start, parts.length === 0 ? 0 : parts.at(-1)[1]);
    parts.push([start, end]);
    clock += (end - start) * each_ms + (start === 0 ? first_ms : 0);
    return 'output';
  };
  const { outputs, done, size } = await measure(count, batch, run, () => clock);
  assert.equal(outputs.length, parts.length);
  assert.equal(done, parts.at(-1)?.[1] ?? 0);
  return { done, size, clock };
}

test('a batch takes as long as it should', async () => {
  for (const each_ms of [0.01, 0.1, 1, 2, 10]) {
    const { size, done, clock } = await sized(100_000, { target_ms: 50 }, { each_ms });
    assert.ok(Math.abs(size * each_ms - 50) <= each_ms, `${size} items of ${each_ms} ms`);
    assert.ok(clock <= 100 && done < 100_000);
  }
  assert.equal((await sized(1000, { target_ms: 50 }, { each_ms: 400 })).size, 1);
});

test('what the first item takes longer does not count', async () => {
  assert.equal((await sized(10_000, {}, { each_ms: 1, first_ms: 5000 })).size, 50);
});

test('a short list has no batches', async () => {
  for (const count of [0, 1, 2, 10, 50]) assert.equal((await sized(count, { target_ms: 50 })).done, count);
});

test('a size that is given is taken', async () => {
  assert.deepEqual(await sized(100, { items: 7 }), { done: 0, size: 7, clock: 0 });
  assert.equal((await sized(100, { items: 100 })).done, 100);
});
