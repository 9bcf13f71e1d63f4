'use strict';
// Replies whose output stays the text that the guest wrote, with every digit.
const { native } = require('./native.js');

/** The parsed reply of a call, but for its output. Of an error there is the whole reply, and no output. */
function rawReply(output, other) {
  if (output === null) return JSON.parse(other);
  return { status: 'ok', output: output.trim(), meta: other === null ? undefined : JSON.parse(other) };
}

/** The reply of a call that blocks. */
const execute = (request) => rawReply(...native.executeSplit(request));

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

module.exports = { execute, poll };
