// Which jobs a pipeline becomes: a pure function of the document.
//
// A run is what one job does: a step, or steps of which each is needed by the next alone. BullMQ's flows are trees: a run
// that several need is the child of the first of them, and each other one gets a gate, a small job that is done when the
// run is.
import { elements, members, objectOf } from './text.js';

/** What a job of its own is for: BullMQ tries it again, or it has options, or batches. */
const isAlone = (step, options) =>
  step.for_each !== undefined || step.retry !== undefined || Object.hasOwn(options, step.name);

/** The steps with what they need, as values and as texts that are good without the other steps. */
function stepsOf(document, resolved) {
  return elements(members(document).get('steps')).map((text, index) => {
    const { name, needs } = resolved.steps[index];
    const parts = members(text).set('needs', JSON.stringify(needs));
    const { runtime, for_each, retry, first_index = 0 } = JSON.parse(text);
    // Of a list, the library tries each item again. A step without one is tried again by BullMQ.
    if (for_each === undefined) parts.delete('retry');
    return { name, needs, runtime, for_each, retry, first_index, index, text: objectOf(parts) };
  });
}

function runsOf(steps, output, options) {
  const dependents = new Map(steps.map(({ name }) => [name, []]));
  const open = new Map(steps.map((step) => [step.name, step.needs.filter((name) => dependents.has(name))]));
  for (const step of steps) open.get(step.name).forEach((name) => dependents.get(name).push(step));
  const next = (step) => {
    const [after, ...others] = dependents.get(step.name);
    const joins =
      after !== undefined && others.length === 0 && step.name !== output && open.get(after.name).length === 1;
    return joins && !isAlone(step, options) && !isAlone(after, options) ? after : undefined;
  };
  const followers = new Set(steps.map(next).filter((step) => step !== undefined));
  const runs = steps
    .filter((step) => !followers.has(step))
    .map((first) => {
      const run = [first];
      for (let step = next(first); step !== undefined; step = next(step)) run.push(step);
      return { steps: run, last: run.at(-1) };
    });
  const byLast = new Map(runs.map((run) => [run.last.name, run]));
  for (const run of runs) {
    run.after = open.get(run.steps[0].name).map((name) => byLast.get(name));
    const own = new Set(run.steps.map(({ name }) => name));
    run.needs = [...new Set(run.steps.flatMap((step) => step.needs))].filter((name) => !own.has(name));
  }
  return runs;
}

/**
 * The runs in the document's order, the one at the root (undefined: several are at the end, or the output is not), and
 * what the state keeps as `plan`.
 */
export function planOf(document, resolved, { completed = [], options = {} } = {}) {
  const { output } = resolved;
  const all = stepsOf(document, resolved);
  const steps = all.filter(({ name }) => !completed.includes(name));
  const runs = runsOf(steps, output, options);
  const needed = new Set(runs.flatMap((run) => run.after));
  const ends = runs.filter((run) => !needed.has(run));
  const root = ends.length === 1 && ends[0].last.name === output ? ends[0] : undefined;
  const plan = {
    names: all.map(({ name }) => name),
    output,
    runs: runs.map((run) => run.steps.map(({ name }) => name)),
  };
  return { steps: all, runs, ends, root, plan };
}
