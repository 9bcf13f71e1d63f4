'use strict';
// Parts of the library's replies as they are, with every digit: what JSON.parse would round.

function skipSpace(text, at) {
  while (' \t\r\n'.includes(text[at])) at++;
  return at;
}

/** Visits members or items in a text of the library's: the key, and where the value begins and ends. */
function* partsOf(text, at) {
  const isObject = text[at] === '{';
  for (at = skipSpace(text, at + 1); !'}]'.includes(text[at]); at = skipSpace(text, at + 1)) {
    let key;
    if (isObject) {
      const end = endOfString(text, at);
      key = text.slice(at + 1, end - 1);
      at = skipSpace(text, text.indexOf(':', end) + 1);
    }
    const end = endOfValue(text, at);
    yield [key, at, end];
    at = skipSpace(text, end);
    if (text[at] !== ',') return;
  }
}

function endOfString(text, at) {
  for (;;) {
    at = text.indexOf('"', at + 1);
    let escapes = at;
    while (text[escapes - 1] === '\\') escapes--;
    if ((at - escapes) % 2 === 0) return at + 1;
  }
}

function endOfValue(text, at) {
  const mark = /["{}[\],]/g;
  for (let depth = 0; ; ) {
    mark.lastIndex = at;
    const found = mark.exec(text);
    if (found[0] === '"') at = endOfString(text, found.index);
    else if ('{['.includes(found[0])) [depth, at] = [depth + 1, found.index + 1];
    else if (found[0] === ',' && depth > 0) at = found.index + 1;
    else if (depth === 0) return found.index;
    else [depth, at] = [depth - 1, found.index + 1];
    if (depth === 0) return at;
  }
}

function partOf(text, at, wanted) {
  for (const [key, begin, end] of partsOf(text, at)) if (key === wanted) return [begin, end];
  return undefined;
}

const isOk = (text) => text.startsWith('{"status":"ok"');

/** The parsed reply of a call, whose output stays the text that the guest wrote. */
function rawReply(text) {
  if (!isOk(text)) return JSON.parse(text);
  const reply = { status: 'ok', output: text.slice(...partOf(text, 0, 'output')).trim() };
  const meta = partOf(text, 0, 'meta');
  if (meta !== undefined) reply.meta = JSON.parse(text.slice(...meta));
  return reply;
}

/** What a poll has handed out: a job and its parsed reply each, raw for the jobs that are. */
function finishedIn(text, isRaw) {
  const [finished] = partOf(text, partOf(text, 0, 'output')[0], 'finished');
  return Array.from(partsOf(text, finished), ([, begin]) => {
    const job = JSON.parse(text.slice(...partOf(text, begin, 'job')));
    const reply = text.slice(...partOf(text, begin, 'reply'));
    return { job, reply: isRaw(job) ? rawReply(reply) : JSON.parse(reply) };
  });
}

module.exports = { finishedIn, isOk, rawReply };
