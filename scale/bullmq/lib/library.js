// The library's pipeline function, and the texts of what it is given.
import { Json } from 'arawn';
import { objectOf } from './text.js';

/** Checks what a caller gives, and resolves it: `{ steps: [{ name, needs }], output }`. */
export const check = (executor, document, { context, completed, limits, raw }) =>
  executor.executePipeline(document, { context, completed, limits, raw, dryRun: true });

/** The text of the output. */
export const run = (executor, document, { context, completed, limits, signal }) =>
  executor.executePipeline(document, { context, completed, limits, signal, raw: true });

/** The JSON of a value that was checked. Of a raw call, a string is JSON already. */
export function textOf(value, raw) {
  if (value instanceof Json || (raw && typeof value === 'string')) return `${value}`.trim();
  return JSON.stringify(value);
}

/** The JSON of a document, of which each config may be a `Json`. */
export function documentOf(document, raw) {
  if (document instanceof Json || typeof document === 'string') return textOf(document, raw);
  const steps = document.steps.map((step) =>
    objectOf(Object.entries(step).map(([key, value]) => [key, textOf(value)])),
  );
  return objectOf([
    ['steps', `[${steps.join(',')}]`],
    ['output', textOf(document.output)],
  ]);
}
