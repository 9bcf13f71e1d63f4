import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { open, runtimes_dir } from './shop.mjs';

const module = new URL('../index.mjs', import.meta.url);
/** A program that has a guest that computes and one that waits for a function of the program. */
const busy = `
  const { Executor } = await import('${module}');
  const config = { runtimes_dir: ${JSON.stringify(runtimes_dir)}, cache_dir: null, limits: { timeout_ms: 5000 } };
  const executor = await Executor.open(config, { echo: () => 1 });
  executor.execute('loop').catch(() => {});
  executor.execute('echo').catch(() => {});
`;

test('a program may end while guests run', () => {
  const ends = `${busy} setTimeout(() => process.exit(7), 20);`;
  const { status, signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', ends]);
  assert.deepEqual([status, signal, `${stderr}`], [7, null, '']);
});

test('a program without calls ends by itself', () => {
  const ends = `import { Executor, stats } from '${module}';
    const executor = await Executor.open({ cache_dir: null }, { f: () => {} });
    await executor.execute('passthrough');
    console.log(stats().executors);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', ends]);
  assert.deepEqual([status, `${stdout}`, `${stderr}`], [0, '1\n', '']);
});

test('a worker thread may be terminated while guests run, and others go on', async (t) => {
  const code = `(async () => { ${busy} require('node:worker_threads').parentPort.postMessage('busy'); })()`;
  const workers = Array.from({ length: 4 }, () => new Worker(code, { eval: true }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  await Promise.all(workers.map((worker) => worker.terminate()));
  const executor = await open(t);
  assert.deepEqual(await executor.execute('passthrough'), { config: {}, context: {} });
});

test('a worker thread may end inside a function that a guest calls', async () => {
  const code = `(async () => {
    const { Executor } = await import('${module}');
    const config = { runtimes_dir: ${JSON.stringify(runtimes_dir)}, cache_dir: null, limits: { timeout_ms: 5000 } };
    const executor = await Executor.open(config, { echo: () => process.exit(7) });
    await Promise.all([executor.execute('echo'), executor.execute('echo')]);
  })()`;
  const workers = Array.from({ length: 4 }, () => new Worker(code, { eval: true }));
  const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
  assert.deepEqual(codes.flat(), [7, 7, 7, 7]);
});

test('processes are started as ever', async (t) => {
  const executor = await open(t);
  await executor.execute('passthrough');
  const { status, stdout } = spawnSync('echo', ['hello']);
  assert.deepEqual([status, `${stdout}`], [0, 'hello\n']);
});

test('an executor that is open keeps no program alive, and a call does', () => {
  const ends = `import { Executor } from '${module}';
    const config = { runtimes_dir: ${JSON.stringify(runtimes_dir)}, cache_dir: null };
    const executor = new Executor(config, { echo: async () => 1, 'arawn.log': () => {} });
    console.log((await executor.execute('echo')).output);
    const loop = executor.execute('loop', { limits: { timeout_ms: 500 } });
    loop.catch((error) => console.log(error.code));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', ends]);
  assert.deepEqual([status, `${stdout}`, `${stderr}`], [0, '1\ntimeout\n', '']);
});

test('a thread that ends closes its executors', async (t) => {
  const code = `(async () => {
    const { Executor } = await import('${module}');
    const config = { id: 'of-a-thread', runtimes_dir: ${JSON.stringify(runtimes_dir)}, cache_dir: null };
    const executor = new Executor(config, { echo: () => new Promise(() => {}) });
    executor.execute('echo').catch(() => {});
    setTimeout(() => process.exit(3), 20);
  })()`;
  assert.deepEqual(await once(new Worker(code, { eval: true }), 'exit'), [3]);
  await open(t, { id: 'of-a-thread' });
});

test('what is closed while its thread ends is closed before that', async () => {
  const code = `(async () => {
    const { Executor } = await import('${module}');
    const config = { runtimes_dir: ${JSON.stringify(runtimes_dir)}, cache_dir: null };
    for (let n = 0; n < 4; n++) {
      const executor = new Executor(config, { echo: () => 1 });
      for (let call = 0; call < 50; call++) executor.execute('echo').catch(() => {});
      setTimeout(() => executor.close(), 5);
    }
    setTimeout(() => process.exit(3), 5);
  })()`;
  const workers = Array.from({ length: 8 }, () => new Worker(code, { eval: true }));
  const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
  assert.deepEqual(new Set(codes.flat()), new Set([3]));
});
