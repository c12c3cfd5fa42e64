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
  /** Sends this many requests to the two, and returns their statuses and the body of the one that succeeded. */
  const race = async (count: number, path: string, bodyOf: () => object) => {
    const answers = await Promise.all(
      Array.from({ length: count }, (_, n) =>
        persist(n % 2 === 0 ? first : second, path, bodyOf()),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort();
    return { statuses, body: answers.find(({ status }) => status === 200)?.body };
  };
  for (let round = 0; round < 5; round++) {
    const { joinid, client1 } = await createPending(first);
    const accepts = await race(50, '/api/rooms/accept', () => {
      return { joinid, client2: someDevice() };
    });
    expect(accepts.statuses).toEqual([200, ...Array(49).fill(409)]);
    const { roomid } = accepts.body ?? {};
    const checks = await race(20, '/api/rooms/check', () => ({ joinid, client1 }));
    expect(checks).toEqual({ statuses: [200, ...Array(19).fill(404)], body: { roomid } });
  }
});
