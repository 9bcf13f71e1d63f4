import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowOf } from '../lib/flow.js';
import { planOf } from '../lib/plan.js';

/** Steps as `name: needs`, and more keys of some. */
function planned(needs, { more = {}, output, ...options } = {}) {
  const steps = Object.entries(needs).map(([name, needs]) => ({ name, runtime: 'passthrough', needs, ...more[name] }));
  output ??= steps.at(-1).name;
  return planOf(JSON.stringify({ steps, output }), { steps, output }, options);
}

const OPTIONS = { queue: 'q', prefix: 'bull', runtimes: {}, job: {}, steps: {}, gate_ms: 5, ttl_ms: 1000 };
const flow = (plan, options) => flowOf(plan, 'p', { ...OPTIONS, ...options });
/** The names of a flow's jobs, each with its children. */
const names = ({ name, children = [] }) => (children.length === 0 ? name : { [name]: children.map(names) });

test('what only the next step needs is in one job with it', () => {
  assert.deepEqual(planned({ a: [], b: ['a'], c: ['b'] }).plan.runs, [['a', 'b', 'c']]);
  assert.deepEqual(planned({ a: [], b: ['a'], c: ['b'] }, { output: 'b' }).plan.runs, [['a', 'b'], ['c']]);
  assert.deepEqual(planned({ a: [], b: ['a'], c: ['a', 'b'] }).plan.runs, [['a'], ['b'], ['c']]);
  // Steps may stand in any order.
  assert.deepEqual(planned({ c: ['b'], b: ['a'], a: [] }, { output: 'c' }).plan.runs, [['a', 'b', 'c']]);
});

test('a step with a list, a retry or options is a job of its own', () => {
  const chain = { a: [], b: ['a'], c: ['b'], d: ['c'] };
  const alone = [['a'], ['b'], ['c', 'd']];
  assert.deepEqual(planned(chain, { more: { b: { for_each: 'a' } } }).plan.runs, alone);
  assert.deepEqual(planned(chain, { more: { b: { retry: { attempts: 2 } } } }).plan.runs, alone);
  assert.deepEqual(planned(chain, { options: { b: { priority: 1 } } }).plan.runs, alone);
});

test('completed steps are no jobs', () => {
  const plan = planned({ a: [], b: ['a'], c: ['b', 'a'] }, { completed: ['a'] });
  assert.deepEqual(plan.plan.runs, [['b', 'c']]);
  assert.deepEqual(plan.runs[0].needs, ['a']);
  assert.deepEqual(names(flow(planned({ a: [] }, { completed: ['a'] }))), 'end');
});

test('a flow is a tree, and who else needs a step has a gate', () => {
  const diamond = planned({ a: [], b: ['a'], c: ['a'], d: ['b', 'c', 'a'] });
  assert.deepEqual(names(flow(diamond)), { d: [{ b: ['a'] }, { c: ['gate'] }, 'gate'] });
  const root = flow(diamond);
  const [b, c] = root.children;
  assert.equal(root.opts.jobId, 'p');
  assert.deepEqual(b.children[0].data.gates, [c.children[0].opts.jobId, root.children[2].opts.jobId]);
  assert.equal(new Set(b.children[0].data.gates).size, 2);
  assert.equal(c.children[0].opts.delay, 5);
  assert.ok(
    !('failParentOnFailure' in root.opts) && b.opts.failParentOnFailure && c.children[0].opts.failParentOnFailure,
  );
});

test('several ends, or an output that is none, have a job at the end', () => {
  assert.deepEqual(names(flow(planned({ a: [], b: [] }))), { end: ['a', 'b'] });
  assert.deepEqual(names(flow(planned({ a: [], b: ['a'] }, { output: 'a' }))), { end: [{ b: ['a'] }] });
});

test("retries and options are the job's", () => {
  const more = {
    b: { retry: { attempts: 3, delay_ms: 20 } },
    c: { for_each: 'b', retry: { attempts: 4 }, first_index: 2 },
  };
  const plan = planned({ a: [], b: ['a'], c: ['b'] }, { more });
  const c = flow(plan, { job: { priority: 7 }, steps: { a: { queue: 'other', priority: 1 } } });
  const [b] = c.children;
  const [a] = b.children;
  assert.deepEqual([b.opts.attempts, b.opts.backoff], [3, { type: 'fixed', delay: 20 }]);
  assert.deepEqual([a.queueName, a.opts.priority, b.queueName, b.opts.priority], ['other', 1, 'q', 7]);
  // Of a list, the library tries each item again.
  assert.equal(c.opts.attempts, undefined);
  assert.deepEqual([c.data.for_each, c.data.first_index], ['b', 2]);
  const texts = Object.fromEntries(plan.steps.map(({ name, text }) => [name, JSON.parse(text)]));
  assert.equal(texts.b.retry, undefined);
  assert.deepEqual(texts.c.retry, { attempts: 4 });
});
