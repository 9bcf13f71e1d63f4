import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import * as scale from '../index.js';
import { setUp } from './fixture.mjs';

const setup = setUp();
const read = (name) => readFile(new URL(name, import.meta.url), 'utf8');

test('the example of the README prints what it says', async () => {
  const [, example] = (await read('../README.md')).match(/```js\n([^]*?)```/);
  const [, expected] = example.match(/console\.log\(.*\); \/\/ (.*)\n/);
  const program = `${example.replace('port: 6379', `port: ${setup.redis.port}`)}\nprocess.exit();`;
  const cwd = new URL('..', import.meta.url);
  const { stdout } = await promisify(execFile)('node', ['--input-type=module', '--eval', program], { cwd });
  assert.equal(stdout, `${expected}\n`);
});

test('the module exports what its types say', async () => {
  const names = (await read('../index.d.ts')).matchAll(/^export function (\w+)/gm);
  assert.deepEqual(Object.keys(scale).sort(), [...new Set(Array.from(names, ([, name]) => name))].sort());
});
