const KNOWN = [
  'id',
  'queue',
  'executor',
  'context',
  'completed',
  'limits',
  'raw',
  'runtimes',
  'store',
  'batch',
  'job',
  'steps',
  'ttl_ms',
  'gate_ms',
  'timeout_ms',
];
/** Of a pipeline: part of job names, which BullMQ parts by colons and does not want to be numbers. */
export const NAME = /^(?!\d+$)[A-Za-z0-9_.-]{1,128}$/;
/** These are the flow's own. */
const RESERVED = [
  'jobId',
  'parent',
  'failParentOnFailure',
  'removeDependencyOnFailure',
  'ignoreDependencyOnFailure',
  'continueParentOnFailure',
];

const isWhole = (value, least) => Number.isSafeInteger(value) && value >= least;

/** The options, with empty ones where there are none. A misspelt one is a TypeError: it must not become no option. */
export function checkOptions(options) {
  const unknown = Object.keys(options).find((key) => !KNOWN.includes(key));
  if (unknown !== undefined)
    throw new TypeError(`addPipeline has no option \`${unknown}\`; it has: ${KNOWN.join(', ')}`);
  const { id, batch = {}, job = {}, steps = {} } = options;
  if (id !== undefined && !NAME.test(id)) throw new TypeError(`\`id\` must match ${NAME}`);
  for (const key of ['ttl_ms', 'gate_ms', 'timeout_ms']) {
    if (options[key] !== undefined && !isWhole(options[key], 1))
      throw new TypeError(`\`${key}\` must be a number of milliseconds`);
  }
  for (const key of Object.keys(batch)) {
    if (key !== 'items' && key !== 'target_ms')
      throw new TypeError(`\`batch\` has no \`${key}\`; it has: items, target_ms`);
    if (!isWhole(batch[key], 1)) throw new TypeError(`\`batch.${key}\` must be a whole number from 1`);
  }
  for (const own of [job, ...Object.values(steps)]) {
    const reserved = Object.keys(own).find((key) => RESERVED.includes(key));
    if (reserved !== undefined) throw new TypeError(`\`${reserved}\` is the flow's own`);
  }
  return { ...options, batch, job, steps };
}
