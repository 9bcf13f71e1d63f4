// A Redis of the tests' own, on a free port of the loopback, in a directory that is removed afterwards.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { Redis } from 'ioredis';

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export class RedisServer {
  #process;

  static async start() {
    const server = new RedisServer();
    server.directory = await mkdtemp(join(tmpdir(), 'arawn-redis-'));
    server.port = await freePort();
    server.connection = { host: '127.0.0.1', port: server.port };
    await server.run();
    return server;
  }

  /** Starts the server, with what its append-only file has. */
  async run() {
    const options = { bind: '127.0.0.1', port: this.port, dir: this.directory, appendonly: 'yes', save: '' };
    const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
    this.#process = spawn(process.env.REDIS_SERVER ?? 'redis-server', args, { stdio: 'ignore' });
    const client = new Redis({ ...this.connection, maxRetriesPerRequest: null, retryStrategy: () => 20 });
    client.on('error', () => {});
    await Promise.race([
      client.ping(),
      once(this.#process, 'exit').then(() => Promise.reject(new Error('redis-server ended'))),
    ]);
    client.disconnect();
  }

  async kill() {
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}
