// node scripts/bench.js redis-memory: what a pending, an accepted pending and a room take in Redis, bytes each, by difference of used_memory.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const COUNT = Number(process.argv[2] ?? 10_000);
const AT_ONCE = 50;
const REDIS_PORT = 7391;
const MAIN = fileURLToPath(new URL('../../packages/server/dist/main.js', import.meta.url));

/** One figure of INFO memory, over a connection of its own. */
async function usedMemory(): Promise<number> {
  const socket = connect(REDIS_PORT, '127.0.0.1');
  socket.write('INFO memory\r\nQUIT\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  return Number(/used_memory:(\d+)/.exec(text)?.[1]);
}

async function each(work: (n: number) => Promise<void>): Promise<void> {
  for (let start = 0; start < COUNT; start += AT_ONCE) {
    const portion = Math.min(AT_ONCE, COUNT - start);
    await Promise.all(Array.from({ length: portion }, (_, n) => work(start + n)));
  }
}

const folder = mkdtempSync(join(tmpdir(), 'couplet-bench-'));
const children: ChildProcess[] = [];
try {
  const redis = spawn('redis-server', ['--port', `${REDIS_PORT}`, '--save', '', '--dir', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(redis);
  for await (const line of createInterface(redis.stdout)) if (/Ready to accept/.test(line)) break;
  redis.stdout.resume();
  const server = spawn(process.execPath, [MAIN, 'serve'], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      HOST: '127.0.0.1',
      LOG_FORMAT: 'json',
      REDIS_URL: `redis://127.0.0.1:${REDIS_PORT}`,
      MAX_CREATES_PER_HOUR: '1000000000',
      MAX_PENDINGS_PER_ADDRESS: '10000000',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(server);
  let url = '';
  for await (const line of createInterface(server.stdout)) {
    url = /listening on (http:[^"]+)/.exec(line)?.[1] ?? '';
    if (url !== '') break;
  }
  server.stdout.resume();
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
    await answer.text();
  };
  // Devices are named by UUIDs, as the apps do.
  const device = (n: number, side: string) =>
    `0D9C4F0E-6E0B-4D0B-${side}B7C-${String(n).padStart(12, '0')}`;
  const joinid = (n: number) => String(n).padStart(6, '0');
  await post('/api/rooms', { joinid: '999999', client1: 'first', expiresInSeconds: 600 });

  const empty = await usedMemory();
  await each((n) =>
    post('/api/rooms', { joinid: joinid(n), client1: device(n, '9'), expiresInSeconds: 600 }),
  );
  const waiting = await usedMemory();
  await each((n) => post('/api/rooms/accept', { joinid: joinid(n), client2: device(n, '8') }));
  const accepted = await usedMemory();
  await each((n) => post('/api/rooms/check', { joinid: joinid(n), client1: device(n, '9') }));
  const collected = await usedMemory();
  const bytes = (from: number, to: number) => Math.round((to - from) / COUNT);
  process.stdout.write(
    [
      `of ${COUNT}, each by devices of its own, bytes of used_memory:`,
      `a pending that waits: ${bytes(empty, waiting)}`,
      `a pending that was accepted, with its room: ${bytes(empty, accepted)}`,
      `a room that was collected: ${bytes(empty, collected)}`,
      '',
    ].join('\n'),
  );
} finally {
  for (const child of children) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
}
