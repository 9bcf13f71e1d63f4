// Pipelines of libarawn as BullMQ's flows. README.md and index.d.ts say how.
export { addPipeline } from './lib/add.js';
export { result, reply, waitForPipeline } from './lib/result.js';
export { directoryStore, redisStore } from './lib/stores.js';
export { createWorker } from './lib/worker.js';
