// The processes that main.js starts: Redis on a free port of the loopback, and workers.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';

export async function startRedis(directory) {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  const args = ['--bind', '127.0.0.1', '--port', port, '--dir', directory, '--appendonly', 'yes', '--save', ''];
  const server = spawn('redis-server', args.map(String), { stdio: 'ignore' });
  // Also where this program fails.
  process.once('exit', () => server.kill());
  const gone = once(server, 'exit').then(() => Promise.reject(new Error('redis-server has ended')));
  gone.catch(() => {});
  const connection = { host: '127.0.0.1', port };
  const client = new Redis({ ...connection, maxRetriesPerRequest: null, retryStrategy: () => 50 });
  client.on('error', () => {});
  await Promise.race([client.ping(), gone]);
  client.disconnect();
  return {
    connection,
    async stop() {
      server.kill();
      await gone.catch(() => {});
    },
  };
}

export async function startWorker(options) {
  const worker = fork(new URL('worker.js', import.meta.url), [JSON.stringify(options)]);
  await once(worker, 'message');
  return {
    async tell(message) {
      worker.send(message);
      await once(worker, 'message');
    },
    async stop() {
      worker.disconnect();
      await once(worker, 'exit');
    },
  };
}
