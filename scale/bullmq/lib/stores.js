// Where workers find the runtimes that they lack: bytes by SHA-256.
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** In Redis, below `<prefix>:arawn:runtime:`. `client` is ioredis's. */
export function redisStore(client, { prefix = 'bull' } = {}) {
  const key = (sha256) => `${prefix}:arawn:runtime:${sha256}`;
  return {
    get: (sha256) => client.getBuffer(key(sha256)),
    async put(sha256, bytes) {
      if ((await client.exists(key(sha256))) === 0) await client.set(key(sha256), Buffer.from(bytes));
    },
  };
}

/** In a directory that the machines share, or that something copies. */
export function directoryStore(directory) {
  const path = (sha256) => join(directory, sha256);
  return {
    async get(sha256) {
      try {
        return await readFile(path(sha256));
      } catch (error) {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async put(sha256, bytes) {
      await mkdir(directory, { recursive: true });
      const temporary = join(directory, `.${sha256}-${randomUUID()}`);
      await writeFile(temporary, bytes);
      await rename(temporary, path(sha256));
    },
  };
}

/** A function `(sha256, name) => bytes` is a store that only gives. */
export const storeOf = (store) => (typeof store === 'function' ? { get: store } : store);
