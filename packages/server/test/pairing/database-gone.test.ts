// The database file is deleted or replaced while the server runs: no call is answered whose result a restart would lose.
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { serverForTest, temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../src/base/failures.js';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';
import { accept, create } from '../support/store-calls.js';

const NOW = Date.UTC(2100, 0, 1);
const root = temporaryFolder();
let folders = 0;
function newFile(): string {
  const folder = join(root, String(++folders));
  mkdirSync(folder);
  return join(folder, 'chat.db');
}

const deleteAll = (path: string) => {
  for (const name of readdirSync(dirname(path))) rmSync(join(dirname(path), name));
};

test.each<[string, (path: string) => void]>([
  ['all files are deleted', deleteAll],
  ['the database is deleted', (path) => rmSync(path)],
  ['the -wal, which has the newest rows, is deleted', (path) => rmSync(`${path}-wal`)],
  ['the -shm, which processes share, is deleted', (path) => rmSync(`${path}-shm`)],
  [
    'a backup is put in its place',
    (path) => {
      copyFileSync(path, `${path}.backup`);
      renameSync(`${path}.backup`, path);
    },
  ],
  ['its folder is moved', (path) => renameSync(dirname(path), `${dirname(path)}.moved`)],
])('a store answers no call once %s', async (_what, harm) => {
  const path = newFile();
  const store = openSqliteStore(path);
  onTestFinished(() => store.close());
  const roomId = 'r'.repeat(48);
  await create(store, '111111', 'a', NOW + 60_000, NOW);
  await accept(store, '111111', 'b', roomId, NOW + 60_000, NOW);
  expect(await store.findRoom(roomId, NOW)).toBeDefined();
  const before = readdirSync(root).length;

  harm(path);
  // The first call detects it at its commit; the others are refused before they begin.
  const late = create(store, '222222', 'a', NOW + 60_000, NOW);
  await expect(late).rejects.toThrow(Unavailable);
  await expect(store.probe(NOW)).rejects.toThrow(Unavailable);
  await expect(store.sweep(NOW)).rejects.toThrow(Unavailable);
  await expect(store.findRoom(roomId, NOW)).rejects.toThrow(Unavailable);
  await expect(store.check('111111', 'a', NOW)).rejects.toMatchObject({
    cause: { message: expect.stringMatching(/deleted or replaced/) },
  });
  expect(readdirSync(root)).toHaveLength(before);
});

test('a server answers 503 and is not ready, is still healthy, and is ready again when the files are back', async () => {
  const path = newFile();
  const server = await serverForTest({ SQLITE_DB_PATH: path });
  const { url } = server;
  const { roomid } = await pairDevices(url);
  const { joinid, client1 } = await createPending(url);
  renameSync(dirname(path), `${dirname(path)}.moved`);
  const ready = await call(url, 'GET', '/readyz');
  const notReady = { error: 'unavailable', details: 'not ready: store' };
  expect([ready.status, ready.body]).toEqual([503, notReady]);
  expect(Number(ready.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await call(url, 'GET', '/healthz')).status).toBe(200);
  for (const [method, at, body] of [
    ['POST', '/api/rooms', { joinid: someCode(), client1, expiresInSeconds: 60 }],
    ['POST', '/api/rooms/accept', { joinid, client2: someDevice() }],
    ['POST', '/api/rooms/check', { joinid, client1 }],
    ['GET', `/api/rooms?roomid=${roomid}`, undefined],
    ['DELETE', '/api/rooms', { roomid }],
  ] as const) {
    const { status, headers } = await call(url, method, at, body);
    expect(status, `${method} ${at}`).toBe(503);
    expect(headers.get('retry-after')).not.toBeNull();
  }
  renameSync(`${dirname(path)}.moved`, dirname(path));
  await expect.poll(async () => (await call(url, 'GET', '/readyz')).status).toBe(200);
  await createPending(url);
  expect((await call(url, 'POST', '/api/rooms/check', { joinid, client1 })).status).toBe(204);
});
