// JSON as a text: where its parts are. Nothing is parsed and printed again, so that every digit stays as it was.
//
// The texts are valid JSON, which the library or JSON.parse has found out before.

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /[^\s,\]}]+/y;
/** What changes the depth, and strings, in which the same characters do not. */
const STRUCTURE = /["[\]{}]/g;

function skip(pattern, text, at) {
  pattern.lastIndex = at;
  pattern.exec(text);
  return pattern.lastIndex;
}

/** Behind the string that begins at `at`. */
function endOfString(text, at) {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text[end - 1 - escapes] === '\\') escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  throw new SyntaxError(`the string at ${at} has no end`);
}

/** Behind the value that begins at `at`. */
function endOfValue(text, at) {
  if (text[at] === '"') return endOfString(text, at);
  if (text[at] !== '{' && text[at] !== '[') return skip(SCALAR, text, at);
  let depth = 0;
  for (let next = at; ;) {
    STRUCTURE.lastIndex = next;
    const found = STRUCTURE.exec(text);
    if (found === null) throw new SyntaxError(`the value at ${at} has no end`);
    next = found.index + 1;
    if (found[0] === '"') next = endOfString(text, found.index);
    else if (found[0] === '{' || found[0] === '[') depth++;
    else if (--depth === 0) return next;
  }
}

/** The places of what stands between the brackets that open at `open`: each with its key in an object. */
function* partsOf(text, open) {
  const isObject = text[open] === '{';
  let at = skip(SPACE, text, open + 1);
  while (text[at] !== '}' && text[at] !== ']') {
    let key;
    if (isObject) {
      const end = endOfString(text, at);
      key = JSON.parse(text.slice(at, end));
      at = skip(SPACE, text, skip(SPACE, text, end) + 1);
    }
    const end = endOfValue(text, at);
    yield { key, start: at, end };
    at = skip(SPACE, text, end);
    if (text[at] === ',') at = skip(SPACE, text, at + 1);
    else if (at >= text.length) throw new SyntaxError(`the value at ${open} has no end`);
  }
}

const openOf = (text) => skip(SPACE, text, 0);

/** The texts of a list's elements. */
export function elements(text) {
  return Array.from(partsOf(text, openOf(text)), ({ start, end }) => text.slice(start, end));
}

/** The texts of an object's members by key. Of a key that is there twice, the last counts. */
export function members(text) {
  return new Map(Array.from(partsOf(text, openOf(text)), ({ key, start, end }) => [key, text.slice(start, end)]));
}

/** An object of members that are texts; what is undefined is left out. */
export function objectOf(entries) {
  const written = Array.from(entries).filter(([, value]) => value !== undefined);
  return `{${written.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
}

/**
 * The place of the list that a path leads to, or undefined where it leads to no list. A number picks from a list.
 */
export function locateList(text, path) {
  let start = openOf(text);
  for (const key of path) {
    if (text[start] !== '{' && text[start] !== '[') return undefined;
    const isObject = text[start] === '{';
    if (!isObject && !/^\+?\d+$/.test(key)) return undefined;
    let found;
    let index = 0;
    for (const part of partsOf(text, start)) {
      if (isObject ? part.key === key : index++ === Number(key)) found = part;
    }
    if (found === undefined) return undefined;
    start = found.start;
  }
  return text[start] === '[' ? { start, end: endOfValue(text, start) } : undefined;
}

/** What stands between the brackets of a list. */
export const inner = (list) => list.slice(list.indexOf('[') + 1, list.lastIndexOf(']')).trim();

/** Lists one after the other, as one list. */
export const joinLists = (lists) =>
  `[${lists
    .map(inner)
    .filter((part) => part !== '')
    .join(',')}]`;
