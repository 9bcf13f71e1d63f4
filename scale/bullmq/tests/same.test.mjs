// The same documents, in one call in this process and by BullMQ: the replies are the same text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArawnError } from 'arawn';
import { addPipeline, reply, waitForPipeline } from '../index.js';
import { setUp, timeout_ms } from './fixture.mjs';

const setup = setUp();

/** Digits that JavaScript has not, white space, escapes, and keys in an order of their own. */
const CONTEXT = `{"list": {"of": [1.0, 12345678901234567890, "]}\\"\\\\", {"z": 1, "a": [ ]}, null, "\\u00e9"],
  "beside": 1E2}, "lists": [[1], [2.50, 3]], "none": []}`;
const each = (more = '') => `{"name": "each", "runtime": "label", "for_each": "list.of"${more}}`;

const DOCUMENTS = {
  'one step': `{"steps": [{"name": "only", "runtime": "passthrough", "config": {"n": 1.10}}]}`,
  'a linear run': `{"steps": [{"name": "a", "runtime": "passthrough", "config": {"n": 12345678901234567890}},
    {"name": "b", "runtime": "transform", "config": {"expression": "a.config"}}, {"name": "c", "runtime": "passthrough"}]}`,
  'the output of a step in the middle': `{"steps": [{"name": "a", "runtime": "passthrough"},
    {"name": "b", "runtime": "passthrough"}, {"name": "c", "runtime": "passthrough"}], "output": "b"}`,
  'two ends': `{"steps": [{"name": "a", "runtime": "passthrough"}, {"name": "b", "runtime": "passthrough"},
    {"name": "c", "runtime": "passthrough", "needs": ["a"]}], "output": "c"}`,
  'a step that three need': `{"steps": [{"name": "d", "runtime": "passthrough", "needs": ["c", "a", "b"]},
    {"name": "a", "runtime": "passthrough", "needs": []}, {"name": "b", "runtime": "passthrough", "needs": ["a"]},
    {"name": "c", "runtime": "passthrough", "needs": ["a"]}], "output": "d"}`,
  'each of a list': `{"steps": [${each()}, {"name": "after", "runtime": "passthrough"}]}`,
  'each of a list in a list': `{"steps": [{"name": "a", "runtime": "passthrough"},
    {"name": "each", "runtime": "passthrough", "for_each": "a.context.lists.1", "first_index": 7}]}`,
  'names that are numbers': `{"steps": [{"name": "2", "runtime": "passthrough"}, {"name": "1", "runtime": "passthrough"},
    {"name": "__proto__", "runtime": "passthrough"}, {"name": "0", "runtime": "passthrough", "needs": ["__proto__", "1"]}]}`,
  'each of an empty list': `{"steps": [{"name": "each", "runtime": "label", "for_each": "none"}]}`,
  'a step that traps': `{"steps": [{"name": "a", "runtime": "passthrough"}, {"name": "b", "runtime": "passthrough"},
    {"name": "c", "runtime": "traps"}, {"name": "d", "runtime": "passthrough"}]}`,
  'a step that traps at each try': `{"steps": [{"name": "a", "runtime": "passthrough"},
    {"name": "b", "runtime": "traps", "retry": {"attempts": 3, "delay_ms": 1}}]}`,
  'an item that fails': `{"steps": [{"name": "a", "runtime": "passthrough"}, {"name": "each", "runtime": "fails",
    "for_each": "thirteen"}]}`,
  'a path that leads to no list': `{"steps": [{"name": "a", "runtime": "passthrough"},
    {"name": "each", "runtime": "label", "for_each": "a.context.list", "needs": ["a"]}]}`,
  'a path that leads nowhere': `{"steps": [{"name": "a", "runtime": "passthrough"}, {"name": "b", "runtime": "passthrough"},
    {"name": "each", "runtime": "label", "for_each": "b.there.2"}]}`,
};
const THIRTEEN = JSON.stringify(Array.from({ length: 40 }, (_, index) => (index === 31 ? 13 : index + 100)));

for (const [name, document] of Object.entries(DOCUMENTS)) {
  for (const items of document.includes('for_each') ? [1, 3, 1000] : [1000]) {
    test(`${name}, ${items} items a batch`, async (t) => {
      await setup.work(t);
      const context = `${CONTEXT.slice(0, -1)}, "thirteen": ${THIRTEEN}}`;
      const expected = await setup.executor.executePipeline(document, { context, raw: true }).then(
        (output) => `{"status":"ok","output":${output}}`,
        ({ message: error, code, details }) => JSON.stringify({ status: 'error', error, code, details }),
      );
      const { job } = await addPipeline(setup.flows, document, {
        executor: setup.executor,
        context,
        raw: true,
        batch: { items },
      });
      await waitForPipeline(job, setup.events, { timeout_ms, raw: true }).catch((error) =>
        assert.ok(error instanceof ArawnError, error),
      );
      assert.equal(await reply(job), expected);
      const wrong = /trap|fails|no list|nowhere/.test(name);
      assert.equal(JSON.parse(expected).status, wrong ? 'error' : 'ok', expected);
    });
  }
}

test('outputs that are known already are not run again', async (t) => {
  await setup.work(t);
  const document = `{"steps": [{"name": "a", "runtime": "traps"}, {"name": "b", "runtime": "passthrough"}]}`;
  const options = { completed: { a: '{"n": 1.0}' }, raw: true };
  const { job } = await addPipeline(setup.flows, document, { executor: setup.executor, ...options });
  const output = await waitForPipeline(job, setup.events, { timeout_ms, raw: true });
  assert.equal(output, '{"config":{},"context":{"a":{"n": 1.0}}}');
  assert.equal(output, await setup.executor.executePipeline(document, options));
});

test("without raw, values are JavaScript's", async (t) => {
  await setup.work(t);
  const document = { steps: [{ name: 'a', runtime: 'passthrough', config: { n: 1 } }] };
  const { job } = await addPipeline(setup.flows, document, { context: { there: [true] } });
  assert.deepEqual(await waitForPipeline(job, setup.events, { timeout_ms }), {
    config: { n: 1 },
    context: { there: [true] },
  });
});
