import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { closeDatabase, openDatabase } from '../../../src/pairing/sqlite/database.js';
import { openSqliteStore } from '../../../src/pairing/sqlite/store.js';
import { pairingStoreContract } from '../../contract/pairing-store.js';
import { execute, rows } from '../../support/sqlite-files.js';
import { create, purge } from '../../support/store-calls.js';

const folder = temporaryFolder();
let files = 0;
const newFile = () => join(folder, `${++files}.db`);
const NOW = Date.UTC(2100, 0, 1);
const DAY = 24 * 3600 * 1000;

pairingStoreContract('SQLite', async () => {
  const path = newFile();
  return async (limits) => openSqliteStore(path, limits);
});

test.runIf(process.platform === 'linux')(
  'the first write starts its thread, with a lower priority than the event loop, also in a process with a niceness',
  async () => {
    setPriority(getPriority() + 1);
    const store = openSqliteStore(newFile());
    onTestFinished(() => store.close());
    // proc(5): after the command name in parentheses come `state`, sixteen more fields, then `nice`.
    const niceOf = (path: string) =>
      Number(readFileSync(path, 'utf8').split(') ')[1]?.split(' ')[16]);
    const threads = () =>
      readdirSync('/proc/self/task').map((id) => niceOf(`/proc/self/task/${id}/stat`));
    const own = niceOf('/proc/thread-self/stat');
    await store.sweep(NOW);
    expect(threads()).not.toContain(own + 5);
    await store.probe(NOW);
    expect(threads()).toContain(own + 5);
  },
);

test('other programs find the documented columns in order, further optional ones, indices, and exp in ISO 8601', async () => {
  const path = newFile();
  const store = openSqliteStore(path);
  await create(store, '000001', 'a', NOW + 7, NOW);
  await store.close();
  const read = (sql: string) => rows(path, sql).map((row) => Object.values(row).join('|'));
  const columns = (table: string) =>
    read(`SELECT name, type, "notnull", pk, dflt_value FROM pragma_table_info('${table}')`);
  const documented = {
    pendings: ['joinid|TEXT|1|1|', 'client1|TEXT|1|0|', 'exp|DATETIME|1|0|', 'client2|TEXT|0|0|'],
    rooms: ['roomid|TEXT|1|1|', 'client1|TEXT|1|0|', 'client2|TEXT|1|0|'],
  };
  for (const [table, expected] of Object.entries(documented)) {
    const all = columns(table);
    expect(all.slice(0, expected.length)).toEqual(expected);
    for (const further of all.slice(expected.length)) expect(further).not.toMatch(/\|1\|\d\|$/);
  }
  const indexed = (table: string) =>
    read(`SELECT c.name FROM pragma_index_list('${table}') i, pragma_index_info(i.name) c`);
  expect(indexed('pendings')).toEqual(expect.arrayContaining(['client1', 'exp']));
  expect(indexed('rooms')).toEqual(expect.arrayContaining(['client1', 'client2']));
  expect(read('SELECT exp, client2 IS NULL FROM pendings')).toEqual(['2100-01-01T00:00:00.007Z|1']);
});

test('the triggers delete the expired rows of other writers, in any ISO 8601 format, and no live row', () => {
  const path = newFile();
  const db = openDatabase(path);
  onTestFinished(() => db.close());
  const left = () => rows(path, 'SELECT joinid FROM pendings').map(({ joinid }) => joinid);
  const add = db.prepare('INSERT INTO pendings (joinid, client1, exp) VALUES (?, ?, ?)');
  const at = (offset: number) => new Date(Date.now() + offset).toISOString();
  const hour = 3_600_000;
  add.run('space', 'a', at(hour).replace('T', ' ').replace('Z', ''));
  add.run('zone', 'a', at(3 * hour).replace('Z', '+02:00'));
  add.run('old', 'a', at(-1001));
  expect(left()).toEqual(['space', 'zone']);
  db.exec('DROP TRIGGER pendings_expire_on_insert');
  add.run('old', 'a', at(-1001));
  // Expiries spread over ten seconds, so that some are within the current second.
  const exps = Array.from({ length: 1000 }, (_, n) => at(10 * n));
  exps.forEach((exp, n) => void add.run(String(n), 'a', exp));
  db.exec("UPDATE pendings SET client2 = NULL WHERE joinid = 'space'");
  const kept = new Set(left());
  const now = Date.now();
  expect(kept.has('old')).toBe(false);
  expect(exps.filter((exp, n) => Date.parse(exp) > now && !kept.has(String(n)))).toEqual([]);
});

test('a key that is used again before the sweep of its expired record is counted once', async () => {
  const store = openSqliteStore(newFile());
  onTestFinished(() => store.close());
  const useAt = (now: number) =>
    store.firstTime(now, {
      key: 'key',
      fingerprint: 'f',
      address: '192.0.2.1',
      keptUntil: now + 1000,
    });
  await useAt(NOW);
  await useAt(NOW + 2000);
  expect(await store.counts()).toMatchObject({ idempotencyRecords: 1 });
  await store.sweep(NOW + 4000);
  expect(await store.counts()).toMatchObject({ idempotencyRecords: 0 });
});

test('rooms that are older than their idle time start it at the first sweep', async () => {
  const path = newFile();
  openDatabase(path).close();
  execute(path, "INSERT INTO rooms (roomid, client1, client2) VALUES ('r', 'a', 'b')");
  const store = openSqliteStore(path, { roomIdleMs: 30 * DAY });
  onTestFinished(() => store.close());
  expect((await store.sweep(NOW)).rooms).toBe(0);
  expect((await store.sweep(NOW + 30 * DAY)).rooms).toBe(0);
  expect((await store.sweep(NOW + 30 * DAY + 1)).rooms).toBe(1);
});

test('a file that is damaged under the running server is an outage, not a bug', async () => {
  const path = newFile();
  // Otherwise the WAL could still have the pages.
  closeDatabase(openDatabase(path));
  const store = openSqliteStore(path);
  onTestFinished(() => store.close());
  // All pages after the first, which holds the schema.
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.alloc(statSync(path).size - 4096, 0xa5), 0, undefined, 4096);
  closeSync(file);
  await expect(store.check('000001', 'a', NOW)).rejects.toThrow(Unavailable);
  await expect(purge(store, ['a'])).rejects.toThrow(Unavailable);
});
