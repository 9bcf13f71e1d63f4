import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elements, joinLists, locateList, members, objectOf } from '../lib/text.js';

const TEXTS = [
  '1.0',
  '-0',
  '1E400',
  '12345678901234567890',
  'null',
  'true',
  '""',
  '"]}\\"\\\\"',
  '"\\\\"',
  '"{[,:"',
  '[]',
  '[ ]',
  '{}',
  '{ "a" : [1 , {"b":[]}] }',
  '"\\u005d"',
];

test('the parts of lists and objects are the texts that stood there', () => {
  for (const [before, after] of [
    ['', ''],
    [' ', '\n'],
    ['\t\r\n', ' '],
  ]) {
    const list = `${before}[${TEXTS.map((text) => before + text + after).join(',')}]${after}`;
    JSON.parse(list);
    assert.deepEqual(elements(list), TEXTS);
    const object = `${before}{${TEXTS.map((text, index) => `${before}"k${index}"${after}:${before}${text}${after}`).join(',')}}${after}`;
    assert.deepEqual(
      [...members(object)],
      TEXTS.map((text, index) => [`k${index}`, text]),
    );
  }
  assert.deepEqual(elements(' [ ] '), []);
  assert.deepEqual([...members(' { } ')], []);
});

test('keys are compared as what they say, and the last of two counts', () => {
  assert.deepEqual(
    [...members('{"\\u0061":1,"b":2,"a":3}')],
    [
      ['a', '3'],
      ['b', '2'],
    ],
  );
  assert.equal(
    objectOf([
      ['a"', '1.0'],
      ['none', undefined],
      ['b', '[ ]'],
    ]),
    '{"a\\"":1.0,"b":[ ]}',
  );
});

/** Numbers that are the same for each run. */
function* numbers(seed) {
  for (let state = seed; ;) yield (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
}

test('made-up values are parted as JSON.parse parts them', () => {
  const next = numbers(7);
  const random = (below) => Math.floor(next.next().value * below);
  const value = (depth) => {
    const kind = random(depth > 4 ? 4 : 6);
    if (kind === 0) return random(1000) / 8;
    if (kind === 1) return Array.from({ length: random(6) }, () => '"\\[]{},: aé\n'[random(12)]).join('');
    if (kind === 2) return [null, true, false][random(3)];
    if (kind === 3) return [];
    if (kind === 4) return Array.from({ length: random(5) }, () => value(depth + 1));
    return Object.fromEntries(Array.from({ length: random(5) }, () => [`${value(9)}`, value(depth + 1)]));
  };
  for (let turn = 0; turn < 2000; turn++) {
    const list = Array.from({ length: random(6) }, () => value(0));
    const text = JSON.stringify(list, null, random(3));
    assert.deepEqual(
      elements(text).map((part) => JSON.parse(part)),
      list,
    );
    const object = { list, other: value(0) };
    assert.deepEqual(
      [...members(JSON.stringify(object))].map(([key, part]) => [key, JSON.parse(part)]),
      Object.entries(object),
    );
  }
});

test('a path leads to a list, or nowhere', () => {
  const text = ' {"a": {"b": [0, [1, 2], {"c": []}]}, "a.b": 1, "s": "[1]"}';
  const at = (path) => {
    const place = locateList(text, path);
    return place && text.slice(place.start, place.end);
  };
  assert.equal(at(['a', 'b']), '[0, [1, 2], {"c": []}]');
  assert.equal(at(['a', 'b', '1']), '[1, 2]');
  assert.equal(at(['a', 'b', '2', 'c']), '[]');
  for (const path of [['a'], ['a', 'b', '0'], ['a', 'b', '3'], ['a', 'b', 'x'], ['none'], ['s'], ['s', '0'], []])
    assert.equal(at(path), undefined);
  assert.deepEqual(locateList('[1]', []), { start: 0, end: 3 });
});

test('lists are joined without a change of their elements', () => {
  assert.equal(joinLists(['[1.0 , "],["]', ' [ ] ', '[]', '[[],[ ]]']), '[1.0 , "],[",[],[ ]]');
  assert.equal(joinLists(['[]', '[]']), '[]');
});
