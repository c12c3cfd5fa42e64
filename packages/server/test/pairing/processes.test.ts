// Several server processes on one database file: docs/protocol.md §3 (races).
import { join } from 'node:path';
import { call, createPending, someDevice } from '@couplet/testkit/api';
import { startChild } from '@couplet/testkit/child-server';
import { temporaryFolder } from '@couplet/testkit/server';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { makeOriginalDatabase, rows } from '../support/sqlite-files.js';

const folder = temporaryFolder();
let files = 0;
const newFile = () => join(folder, `${++files}.db`);
const start = (path: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => startChild({ SQLITE_DB_PATH: path })));

/** Repeats a request while the answer is 503, because the file may be locked for longer than the server waits. */
async function persist(url: string, path: string, body: object) {
  for (;;) {
    const answer = await call(url, 'POST', path, body);
    if (answer.status !== 503) return answer;
  }
}

test('processes that open a fresh file at once all serve it', async () => {
  for (let round = 0; round < 3; round++) {
    const servers = await start(newFile(), 3);
    for (const { url } of servers) await createPending(url);
    await Promise.all(servers.map((server) => server.kill()));
  }
});

test('a process waits for another one that takes three seconds to create the file', async () => {
  const path = newFile();
  const other = new DatabaseSync(path);
  other.exec('BEGIN EXCLUSIVE');
  const release = setTimeout(() => other.close(), 3000);
  onTestFinished(() => clearTimeout(release));
  await createPending((await startChild({ SQLITE_DB_PATH: path })).url);
});

test('processes that migrate a file at once keep every row', async () => {
  const path = newFile();
  makeOriginalDatabase(path);
  await start(path, 3);
  expect(rows(path, 'SELECT joinid FROM pendings')).toHaveLength(3);
  expect(rows(path, 'SELECT roomid FROM rooms')).toHaveLength(2);
});

test('of fifty accepts over two processes, one succeeds and 49 conflict', async () => {
  const servers = await start(newFile(), 2);
  const [first, second] = servers.map((server) => server.url) as [string, string];
  for (let round = 0; round < 5; round++) {
    const { joinid, client1 } = await createPending(first);
    const devices = Array.from({ length: 50 }, someDevice);
    const answers = await Promise.all(
      devices.map((client2, n) =>
        persist(n % 2 === 0 ? first : second, '/api/rooms/accept', { joinid, client2 }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(49).fill(409)]);
    const winner = answers.findIndex(({ status }) => status === 200);
    const roomid = answers[winner]?.body?.roomid;
    const room = await call(second, 'GET', `/api/rooms?roomid=${roomid}`);
    expect(room.body).toStrictEqual({ roomid, client1, client2: devices[winner] });
    const checks = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        persist(n % 2 === 0 ? first : second, '/api/rooms/check', { joinid, client1 }),
      ),
    );
    expect(checks.map(({ status }) => status).sort()).toEqual([200, ...Array(19).fill(404)]);
    expect(checks.find(({ status }) => status === 200)?.body).toStrictEqual({ roomid });
  }
});
