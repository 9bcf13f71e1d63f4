// What the tests share.
import assert from 'node:assert/strict';
import { ArawnError, Executor } from '../index.mjs';

/** The catalog of guests that tests/languages/node.rs makes. */
export const runtimes_dir = process.env.ARAWN_RUNTIMES ?? '';
assert.notEqual(runtimes_dir, '', 'ARAWN_RUNTIMES names no catalog: run cargo test --test node');

/**
 * Opens an executor with those guests and a deadline for a busy machine, and closes it after the test.
 * @param {import('node:test').TestContext} t
 * @param {import('../index.mjs').Config} [config]
 * @param {Record<string, import('../index.mjs').HostFunction>} [hostFunctions]
 */
export async function open(t, config, hostFunctions) {
  const defaults = { runtimes_dir, cache_dir: null, limits: { timeout_ms: 300_000 } };
  const executor = await Executor.open({ ...defaults, ...config }, hostFunctions);
  t.after(() => executor.close());
  return executor;
}

/**
 * The error that a promise must be rejected with.
 * @param {Promise<any>} promise
 * @param {string} code
 * @returns {Promise<ArawnError>}
 */
export async function rejection(promise, code) {
  const error = await promise.then((output) => assert.fail(JSON.stringify(output)), (error) => error);
  assert.ok(error instanceof ArawnError && error instanceof Error, error);
  assert.equal(error.code, code, error.message);
  assert.notEqual(error.message, '');
  assert.equal(typeof error.details, 'object');
  return error;
}
