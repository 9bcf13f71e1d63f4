import arawn from './index.js';

export const { ArawnError, Executor, Json, configure, stats, version } = arawn;
