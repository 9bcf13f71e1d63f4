// The flow of a plan: what a FlowProducer adds.

const GATE = 'gate';
const END = 'end';

/** `id` numbers the runs; the root has the pipeline's name, so that `queue.getJob(pipeline)` finds it. */
export function flowOf(
  { runs, ends, root },
  pipeline,
  { queue, prefix, runtimes, job, steps, batch, gate_ms, ttl_ms },
) {
  const keep = { removeOnComplete: { age: Math.ceil(ttl_ms / 1000) }, removeOnFail: { age: Math.ceil(ttl_ms / 1000) } };
  const idOf = (run) => (run === root ? pipeline : `${pipeline}-${runs.indexOf(run)}`);
  const queueOf = (run) => steps[run.last.name]?.queue ?? queue;
  const gateId = (run, dependent) => `${idOf(run)}-gate-${runs.indexOf(dependent)}`;
  const parents = new Map(runs.map((run) => [run, runs.filter((other) => other.after.includes(run))]));
  const node = (queueName, name, data, opts) => ({
    queueName,
    name,
    data: { pipeline, ttl_ms, ...data },
    prefix,
    opts: { ...keep, ...job, failParentOnFailure: true, ...opts },
  });

  const gate = (run, dependent) =>
    node(
      queueOf(run),
      GATE,
      { kind: GATE, step: run.last.name, gate_ms },
      {
        jobId: gateId(run, dependent),
        delay: gate_ms,
        removeOnComplete: true,
      },
    );

  function nodeOf(run) {
    const names = run.steps.map(({ name }) => name);
    const { queue: _, ...own } = steps[run.last.name] ?? {};
    const { retry, for_each, first_index } = run.last;
    const tries =
      retry === undefined || for_each !== undefined
        ? {}
        : { attempts: retry.attempts ?? 1, backoff: { type: 'fixed', delay: retry.delay_ms ?? 0 } };
    const pinned = run.steps.map(({ runtime }) => runtime).filter((name) => Object.hasOwn(runtimes, name));
    const data = {
      kind: 'run',
      steps: names,
      needs: run.needs,
      runtimes: Object.fromEntries(pinned.map((name) => [name, runtimes[name].sha256])),
      gates: parents
        .get(run)
        .slice(1)
        .map((dependent) => gateId(run, dependent)),
      ...(for_each === undefined ? {} : { for_each, first_index, batch }),
      ...(run === root ? { is_root: true } : {}),
    };
    const name = names.length === 1 ? names[0] : `${names[0]} … ${names.at(-1)}`;
    const children = run.after.map((before) => (parents.get(before)[0] === run ? nodeOf(before) : gate(before, run)));
    return { ...node(queueOf(run), name, data, { ...tries, ...own, jobId: idOf(run) }), children };
  }

  if (root !== undefined) return atRoot(nodeOf(root));
  const end = node(queue, END, { kind: END, is_root: true }, { jobId: pipeline });
  return atRoot({ ...end, children: ends.map(nodeOf) });
}

/** It has no parent to fail, unless the caller's options give it one. */
function atRoot(node) {
  const { failParentOnFailure, ...opts } = node.opts;
  return { ...node, opts };
}
