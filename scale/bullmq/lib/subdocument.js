// The document that one job runs: its steps, and those that they need as steps that are completed.
import { ArawnError } from 'arawn';
import * as library from './library.js';
import { elements, locateList, members, objectOf } from './text.js';

/** Beyond it the library refuses a list, in its own words. */
const MOST_ITEMS = 100_000;

const stub = (name) =>
  objectOf([
    ['name', JSON.stringify(name)],
    ['runtime', '"passthrough"'],
    ['needs', '[]'],
  ]);

/** Runs steps, `{ name, text }` each. Errors are those that the whole document would give. */
export async function runSteps(executor, steps, inputs, { names, signal, first_index }) {
  const own = steps.map(({ name }) => name);
  const texts = steps.map(({ text }) => text);
  if (first_index !== undefined) texts[0] = objectOf(members(texts[0]).set('first_index', String(first_index)));
  const all = [...texts, ...Object.keys(inputs.completed).map(stub)];
  const document = objectOf([
    ['steps', `[${all.join(',')}]`],
    ['output', JSON.stringify(own.at(-1))],
  ]);
  try {
    return await library.run(executor, document, { ...inputs, signal });
  } catch (error) {
    throw error instanceof ArawnError ? placed(error, own, names) : error;
  }
}

/** The error with the places that the steps have in the whole document. */
function placed(error, own, names) {
  const move = (text) =>
    text.replace(/\bpipeline\.steps\[(\d+)\]/, (_, index) => {
      return `pipeline.steps[${names.indexOf(own[index])}]`;
    });
  const { message, code, details } = error;
  const path = typeof details.path === 'string' ? { path: move(details.path) } : {};
  return new ArawnError({ error: move(message), code, details: { ...details, ...path } });
}

/** Where the items of a step are, or undefined where the library has to say what is wrong. */
export function listOf(for_each, { context, completed }) {
  const keys = for_each.split('.');
  const holder = Object.hasOwn(completed, keys[0]) ? keys[0] : null;
  const text = holder === null ? context : completed[holder];
  const place = locateList(text, holder === null ? keys : keys.slice(1));
  if (place === undefined) return undefined;
  const items = elements(text.slice(place.start, place.end));
  if (items.length > MOST_ITEMS) return undefined;
  return { items, around: { holder, before: text.slice(0, place.start), after: text.slice(place.end) } };
}

/** The inputs with some items in place of the list. */
export function withItems(inputs, { holder, before, after }, items) {
  const text = `${before}[${items}]${after}`;
  if (holder === null) return { ...inputs, context: text };
  return { ...inputs, completed: { ...inputs.completed, [holder]: text } };
}
