'use strict';

/** JSON as a text, which keeps what JavaScript's numbers cannot. */
class Json {
  #text;

  constructor(text) {
    JSON.parse(text);
    this.#text = text;
  }

  toString() {
    return this.#text;
  }
}

/** The JSON of a value; of `undefined` what is given for it. `name` is what errors call the value. */
function jsonOf(value, name, otherwise) {
  if (value instanceof Json) return `${value}`;
  if (value === undefined) return otherwise;
  checkValue(value, name, []);
  return JSON.stringify(value) ?? otherwise;
}

/** What JSON.stringify would leave out, or turn into null or {}, is refused with the path to it. */
function checkValue(value, path, around) {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) refuse(path, `${value}, which JSON has not`);
      return;
    case 'object':
      if (value !== null && typeof value.toJSON !== 'function') checkParts(value, path, around);
      return;
    case 'bigint':
      refuse(path, 'a bigint: pass a number, a string, or all of it as a Json');
    default:
      refuse(path, `${typeof value}, which JSON has not`);
  }
}

function checkParts(value, path, around) {
  if (value instanceof Json) refuse(path, 'a Json within another value: it stands for the whole');
  if (around.includes(value)) refuse(path, 'within itself');
  around.push(value);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      // The path of a string or a number is made where it is wrong, and not for each of a million.
      if (isPlain(value[index])) continue;
      checkValue(value[index], `${path}[${index}]`, around);
    }
  } else {
    if (Object.getPrototypeOf(value) !== Object.prototype) checkTag(value, path);
    for (const key in value) {
      const member = value[key];
      if (member !== undefined && !isPlain(member)) checkValue(member, `${path}.${key}`, around);
    }
  }
  around.pop();
}

function checkTag(value, path) {
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (tag !== 'Object') refuse(path, `a ${tag}, which JSON has not`);
}

const isPlain = (value) => typeof value === 'string' || Number.isFinite(value) || value === null || typeof value === 'boolean';

function refuse(path, what) {
  throw new TypeError(`${path} is ${what}`);
}

module.exports = { Json, jsonOf };
