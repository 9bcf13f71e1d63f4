'use strict';

/** An error reply of the library. */
class ArawnError extends Error {
  constructor({ error, code, details }) {
    super(error);
    this.name = 'ArawnError';
    this.code = code;
    this.details = details;
  }
}

/** The output of a parsed reply; what is wrong is thrown. */
function outcome(reply) {
  if (reply.status === 'ok') return reply.output;
  throw new ArawnError(reply);
}

module.exports = { ArawnError, outcome };
