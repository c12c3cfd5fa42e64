// Group commit: concurrent calls share one transaction, and each call still gets its own answer. docs/protocol.md §10.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { openSqliteStore } from '../../../src/pairing/sqlite/store.js';
import type { PairingStore } from '../../../src/pairing/store.js';
import { execute, rows } from '../../support/sqlite-files.js';
import { accept, create } from '../../support/store-calls.js';

const folder = temporaryFolder();
let files = 0;
const newFile = () => join(folder, `${++files}.db`);
const NOW = Date.UTC(2100, 0, 1);
const LATER = NOW + 60_000;

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** Commits in a write-ahead log: frames that contain the size of the database after them (SQLite file format §4.1). */
function commits(path: string): number {
  const wal = readFileSync(`${path}-wal`);
  if (wal.length === 0) return 0;
  const frameBytes = FRAME_HEADER_BYTES + wal.readUInt32BE(8);
  let count = 0;
  for (let at = HEADER_BYTES; at + frameBytes <= wal.length; at += frameBytes) {
    if (wal.readUInt32BE(at + 4) > 0) count += 1;
  }
  return count;
}

const open = (path = newFile()) => {
  const store = openSqliteStore(path);
  onTestFinished(() => store.close());
  return { store, path };
};
const code = (n: number) => String(n).padStart(6, '0');
const createMany = (store: PairingStore, clients: readonly string[]) =>
  Promise.allSettled(clients.map((client1, n) => create(store, code(n), client1, LATER, NOW)));

test('calls of one turn share one commit, and each has its answer', async () => {
  const { store, path } = open();
  await store.probe(NOW);
  const before = commits(path);
  const answers = await createMany(store, ['a', 'b', 'c', 'd', 'e']);
  expect(answers.every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(commits(path) - before).toBe(1);
  const outcomes = await Promise.all([
    accept(store, code(0), 'x', 'room 1', LATER, NOW),
    accept(store, code(0), 'y', 'room 2', LATER, NOW),
    accept(store, code(9), 'x', 'room 3', LATER, NOW),
  ]);
  expect(outcomes.map((outcome) => outcome.kind)).toEqual([
    'accepted',
    'conflict',
    'not_found_or_expired',
  ]);
  expect(commits(path) - before).toBe(2);
});

test('calls during a commit share the next one', async () => {
  const { store, path } = open();
  await store.probe(NOW);
  const before = commits(path);
  const first = create(store, code(100), 'a', LATER, NOW);
  // The next turn: the first call is running.
  await new Promise((resolve) => setImmediate(resolve));
  const others = createMany(store, ['a', 'b', 'c']);
  await first;
  await others;
  expect(commits(path) - before).toBe(2);
});

test('an accept and the held check of its code share one commit; if the accept fails, the check waits', async () => {
  const { store, path } = open();
  await create(store, code(0), 'a', LATER, NOW);
  const before = commits(path);
  const checks: Promise<unknown>[] = [];
  store.onChange((joinCode) => checks.push(store.check(joinCode, 'a', NOW)));
  const still = { kind: 'waiting', expiresAt: LATER };
  await accept(store, code(0), 'a', 'room', LATER, NOW);
  expect(await checks[0]).toEqual(still);
  execute(
    path,
    `CREATE TRIGGER poison AFTER INSERT ON rooms WHEN new.client2 = 'poison'
     BEGIN SELECT RAISE(ABORT, 'poison'); END`,
  );
  await expect(accept(store, code(0), 'poison', 'room', LATER, NOW)).rejects.toThrow();
  expect(await checks[1]).toEqual(still);
  expect(commits(path) - before).toBe(1);
  const race = ['b', 'c'].map((id) => accept(store, code(0), id, `room ${id}`, LATER, NOW));
  // The check frees the code, but the second device has not failed to guess a code.
  expect((await Promise.all(race)).map(({ kind }) => kind)).toEqual(['accepted', 'conflict']);
  expect(await checks[2]).toEqual({ kind: 'collected', roomId: 'room b' });
  expect(commits(path) - before).toBe(2);
});

test('a call that only reads commits nothing', async () => {
  const { store, path } = open();
  await create(store, code(1), 'a', LATER, NOW);
  const before = commits(path);
  await store.check(code(1), 'a', NOW);
  await store.findRoom('room', NOW);
  await store.counts();
  expect(commits(path)).toBe(before);
});

test('more calls than the maximum of a group are all answered', async () => {
  const { store } = open();
  const clients = Array.from({ length: 1200 }, (_, n) => `device ${n}`);
  const answers = await createMany(store, clients);
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1200);
  expect((await store.counts()).pendings).toBe(1200);
});

test('a call that fails has no effect, and does not affect the others in its group', async () => {
  const { store, path } = open();
  await store.probe(NOW);
  execute(
    path,
    `CREATE TRIGGER poison AFTER INSERT ON rooms WHEN new.client2 = 'poison'
     BEGIN SELECT RAISE(ABORT, 'poison'); END`,
  );
  await createMany(store, ['a', 'b', 'c']);
  const told: string[] = [];
  store.onChange((joinCode) => told.push(joinCode));
  const answers = await Promise.allSettled([
    accept(store, code(0), 'x', 'room 0', LATER, NOW),
    accept(store, code(1), 'poison', 'room 1', LATER, NOW),
    accept(store, code(2), 'x', 'room 2', LATER, NOW),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect((answers[1] as PromiseRejectedResult).reason).not.toBeInstanceOf(Unavailable);
  // Each when it joined the group, and those that succeeded again.
  expect(told).toEqual([0, 1, 2, 0, 2].map(code));
  expect((await store.counts()).rooms).toBe(2);
  // The change to its pending was rolled back with the room.
  expect(await store.check(code(1), 'b', NOW)).toMatchObject({ kind: 'waiting' });
  expect(rows(path, 'SELECT roomid FROM rooms ORDER BY roomid')).toEqual([
    { roomid: 'room 0' },
    { roomid: 'room 2' },
  ]);
});

test('a commit that fails is an outage for its whole group, and has no effect', async () => {
  const { store, path } = open();
  await store.probe(NOW);
  // The commit itself checks a deferred constraint.
  execute(
    path,
    `CREATE TABLE parent (id INTEGER PRIMARY KEY);
     CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
     CREATE TRIGGER poison AFTER INSERT ON pendings WHEN new.client1 = 'poison'
     BEGIN INSERT INTO child VALUES (1); END`,
  );
  const told: string[] = [];
  store.onChange((joinCode) => told.push(joinCode));
  const answers = await createMany(store, ['a', 'poison', 'b']);
  for (const answer of answers) {
    expect((answer as PromiseRejectedResult).reason).toBeInstanceOf(Unavailable);
  }
  expect(told).toEqual([]);
  expect(rows(path, 'SELECT * FROM pendings')).toEqual([]);
  expect(await create(store, code(0), 'a', LATER, NOW)).toMatchObject({ kind: 'created' });
  expect((await store.counts()).pendings).toBe(1);
});

test('calls made before the store is closed are answered, and later calls are refused', async () => {
  const path = newFile();
  const store = openSqliteStore(path);
  const answers = createMany(store, ['a', 'b']);
  const closed = store.close();
  await expect(store.check(code(0), 'a', NOW)).rejects.toThrow(TypeError);
  expect((await answers).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  await closed;
  await store.close();
  expect(rows(path, 'SELECT joinid FROM pendings')).toHaveLength(2);
});

test('a thread that died is replaced for the next group', async () => {
  const workers: Worker[] = [];
  const started = (worker: Worker) => void workers.push(worker);
  process.on('worker', started);
  onTestFinished(() => void process.off('worker', started));
  const store = openSqliteStore(newFile());
  onTestFinished(() => store.close());
  await create(store, '000001', 'a', LATER, NOW);
  // Between groups, because the binding ends the process if it is interrupted.
  await workers[0]?.terminate();
  expect(await store.check('000001', 'a', NOW)).toMatchObject({ kind: 'waiting' });
  expect(await create(store, '000002', 'a', LATER, NOW)).toMatchObject({ kind: 'created' });
  expect(workers).toHaveLength(2);
});
