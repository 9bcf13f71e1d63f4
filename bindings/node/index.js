'use strict';
// Runs sandboxed WebAssembly runtimes in this process, by libarawn. README.md and index.d.ts say how.
const { ArawnError } = require('./lib/error.js');
const { Executor, configure, stats, version } = require('./lib/executor.js');
const { Json } = require('./lib/json.js');

module.exports = { ArawnError, Executor, Json, configure, stats, version };
