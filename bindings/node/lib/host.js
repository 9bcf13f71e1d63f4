'use strict';
// Host functions: functions of this program that guests call by name.
const { jsonOf } = require('./json.js');

/** How the library has called, by number as native/state.h has them. */
const [QUEUED, , IN_CALL] = [0, 1, 2];

/** By the number that the add-on calls them by: the function and the name of its executor. */
const functions = new Map();
let next = 0;
let hostReply;

/** Gives the function a number. */
function add(executor, f) {
  next = (next + 1) % 2 ** 32;
  functions.set(next, { executor: JSON.stringify(executor), f });
  return next;
}

const remove = (number) => functions.delete(number);

/** The names of the executors of which a pipeline blocks this thread, and no call is under way besides. */
const blocked = new Set();

/** Runs what blocks this thread. Its guests cannot wait for promises. */
function blocking(executor, f) {
  const name = JSON.stringify(executor);
  const isWithin = blocked.has(name);
  blocked.add(name);
  try {
    return f();
  } finally {
    if (!isWithin) blocked.delete(name);
  }
}

const okReply = (output) => `{"status":"ok","output":${jsonOf(output, 'output', 'null')}}`;
const errorReply = (error) => JSON.stringify({ status: 'error', error: String(error?.message ?? error) });

/** Of what a function returns, or has promised. */
function replyOf(output) {
  try {
    return okReply(output);
  } catch (error) {
    return errorReply(error);
  }
}

/**
 * Runs a function, and throws nothing. The reply is returned, or given later: by a promise, and to those that do not
 * wait for the return.
 */
function dispatch(number, text, way) {
  const found = functions.get(number);
  if (found === undefined) return undefined;
  // {"call":"c-17","request":…}, and of a message, which nobody waits for, null for the call.
  const at = text.indexOf(',"request":');
  const call = text.slice('{"call":'.length, at);
  const request = text.slice(at + ',"request":'.length, -1);
  const answer = (reply) => {
    if (call !== 'null') hostReply(`{"executor":${found.executor},"call":${call},"reply":${reply}}`);
  };
  let reply;
  try {
    const output = found.f(JSON.parse(request), request);
    if (typeof output?.then === 'function') {
      const waits = way === IN_CALL ? 'execute' : way === QUEUED && blocked.has(found.executor) ? 'executePipeline' : null;
      if (waits !== null) {
        Promise.resolve(output).catch(() => {});
        throw new TypeError(`${waits}Sync cannot wait for the promise of a host function: use ${waits}`);
      }
      Promise.resolve(output).then(replyOf, errorReply).then(answer);
      return undefined;
    }
    reply = okReply(output);
  } catch (error) {
    reply = errorReply(error);
  }
  if (way !== QUEUED) return reply;
  answer(reply);
  return undefined;
}

const answerBy = (f) => {
  hostReply = f;
};

module.exports = { add, answerBy, blocking, dispatch, remove };
