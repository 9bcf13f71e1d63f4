'use strict';
// Calls whose JSON is a text, in and out, with every digit.
const { jsonOf } = require('./json.js');
const { native } = require('./native.js');

/**
 * A config, a context, a document or an output, of which a string is JSON already. The library finds out whether it is
 * valid; what could be read as more than one value is refused here.
 */
function textOf(value, name, otherwise) {
  if (typeof value !== 'string') return jsonOf(value, name, otherwise);
  if (!native.isWhole(value)) check(value, name);
  return value;
}

function check(text, name) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`${name} of a raw call is not JSON: ${error.message}`, { cause: error });
  }
}

/** Throws where the library's `invalid_json` comes from the texts. */
function checkTexts(texts) {
  for (const [name, text] of Object.entries(texts)) {
    if (typeof text === 'string') check(text, name);
  }
}

/** The parsed reply of a call, but for its output. Of an error there is the whole reply, and no output. */
function rawReply(output, other) {
  if (output === null) return JSON.parse(other);
  return { status: 'ok', output: output.trim(), meta: other === null ? undefined : JSON.parse(other) };
}

/** The reply of a call or a pipeline that blocks. */
const execute = (number, request) => rawReply(...native.executeSplit(number, request));

/** What a poll has handed out: each job and its parsed reply, raw for the jobs that are. Null: the poll has failed. */
function poll(request, isRaw) {
  const parts = native.pollSplit(request);
  if (parts === null) return null;
  const finished = [];
  for (let at = 0; at < parts.length; at += 3) {
    const job = JSON.parse(parts[at]);
    const reply = rawReply(parts[at + 1], parts[at + 2]);
    if (reply.status === 'ok' && !isRaw(job)) reply.output = JSON.parse(reply.output);
    finished.push({ job, reply });
  }
  return finished;
}

module.exports = { checkTexts, execute, poll, textOf };
