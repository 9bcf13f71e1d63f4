// What a pipeline has besides its jobs: one hash in Redis, at <prefix>:arawn:pipeline:<pipeline>, a key that BullMQ does
// not have.
//
//   plan            the names of the steps, the output's, and which steps each job runs
//   context limits  of the document, as texts
//   step:<name>     the step as a text, with its `needs` written out
//   runtime:<name>  what a worker needs in order to register the runtime
//   out:<name>      the output of a step, as the runtime wrote it
//   split:<name>    how a list was parted
//   item:<n>:<name> the items of a batch; part:<n>:<name> their outputs
//   failure         the job that ended the pipeline, and the reply
//   done            the job at the root has run
//
// 1. An output is there before its job completes, and is written once: of a job that was delivered twice the first counts.
// 2. The hash has no expiry from when its jobs are there until the pipeline has ended.

const CREATE = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`;

const WRITE_ONCE = `
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1`;

const PRESENT = `
local found = {}
for i = 1, #ARGV do found[i] = redis.call('HEXISTS', KEYS[1], ARGV[i]) end
return found`;

const STORE_ONCE = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
for i = 4, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
if ARGV[3] ~= '0' then
  redis.call('HSET', KEYS[1], 'done', '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
elseif redis.call('HEXISTS', KEYS[1], 'failure') == 0 then
  redis.call('PERSIST', KEYS[1])
end
return 1`;

const KEEP = `
local ended = redis.call('HEXISTS', KEYS[1], 'done') + redis.call('HEXISTS', KEYS[1], 'failure')
if ended == 0 then redis.call('PERSIST', KEYS[1]) end`;

const FAIL = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for i = 3, #ARGV do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then return 0 end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('HSETNX', KEYS[1], 'failure', ARGV[1])`;

export class PipelineState {
  #client;

  /** `client` is a BullMQ connection's. */
  constructor(client, prefix, pipeline) {
    this.#client = client;
    this.key = `${prefix}:arawn:pipeline:${pipeline}`;
  }

  /** False where the pipeline is there already, which is then left as it is. It expires, unless it is kept. */
  async create(fields, ttl_ms) {
    return (await this.#client.eval(CREATE, 1, this.key, String(ttl_ms), ...Object.entries(fields).flat())) === 1;
  }

  /** The jobs have been added. They may have ended already. */
  keep() {
    return this.#client.eval(KEEP, 1, this.key);
  }

  /** The values of fields, null for those that are not there. */
  async read(fields) {
    const values = await this.#client.hmget(this.key, ...fields);
    return Object.fromEntries(fields.map((field, index) => [field, values[index]]));
  }

  async readPlan() {
    const { plan } = await this.read(['plan']);
    return plan === null ? null : JSON.parse(plan);
  }

  /**
   * Writes a field that is not there yet, and takes away others. `ttl_ms` of the last output: the pipeline is done.
   * False where the pipeline has gone.
   */
  async storeOnce(field, text, { without = [], ttl_ms = 0 } = {}) {
    return (await this.#client.eval(STORE_ONCE, 1, this.key, field, text, String(ttl_ms), ...without)) === 1;
  }

  /** Writes fields at once, unless the first of them is there. */
  writeOnce(entries) {
    return this.#client.eval(WRITE_ONCE, 1, this.key, ...entries.flat());
  }

  /** Those of the fields that are there. */
  async present(fields) {
    const found = await this.#client.eval(PRESENT, 1, this.key, ...fields);
    return fields.filter((_, index) => found[index] === 1);
  }

  /** The first failure is the pipeline's, unless one of the fields is there: then the job has an output. */
  fail(failure, ttl_ms, unless) {
    return this.#client.eval(FAIL, 1, this.key, JSON.stringify(failure), String(ttl_ms), ...unless);
  }

  /** The job that failed is tried again. */
  async forgive() {
    await this.#client.hdel(this.key, 'failure');
    await this.#client.persist(this.key);
  }
}

export const batchField = (kind, batch, step) => `${kind}:${batch}:${step}`;
