// Two workers do about twice as much as one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addPipeline, waitForPipeline } from '../index.js';
import { setUp, timeout_ms } from './fixture.mjs';

const setup = setUp();
const ITEMS = 400;
const TRIES = 6;

test('where an item waits 2 ms, two workers do at least 1.8 times the items a second of one', async (t) => {
  const one = { limits: { calls: 1 }, worker: { concurrency: 1 } };
  const [first, second] = await Promise.all([setup.spawn(t, one), setup.spawn(t, one)]);
  const list = Array.from({ length: ITEMS }, (_, index) => index);
  const document = { steps: [{ name: 'each', runtime: 'wait', config: { ms: 2 }, for_each: 'list' }] };
  const measure = async () => {
    const began = performance.now();
    const { job } = await addPipeline(setup.flows, document, {
      executor: setup.executor,
      context: { list },
      batch: { items: 10 },
    });
    assert.deepEqual(await waitForPipeline(job, setup.events, { timeout_ms }), list);
    return (1000 * ITEMS) / (performance.now() - began);
  };
  await measure();
  const ratios = [];
  while (ratios.length < TRIES && !(Math.max(...ratios) >= 1.8)) {
    await second.tell('pause');
    const alone = await measure();
    await second.tell('resume');
    const both = await measure();
    ratios.push(both / alone);
    t.diagnostic(`${alone.toFixed(0)} and ${both.toFixed(0)} items a second: ${ratios.at(-1).toFixed(2)}`);
  }
  assert.ok(Math.max(...ratios) >= 1.8, `ratios: ${ratios}`);
  assert.ok(first.completed > 0 && second.completed > 0);
});
