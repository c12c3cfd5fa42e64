// PairingStore on SQLite: the store contract, and the properties of SQLite. docs/protocol.md §10.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { startServer, temporaryFolder } from '@couplet/testkit/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { closeDatabase, openDatabase } from '../../../src/pairing/sqlite/database.js';
import { openSqliteStore } from '../../../src/pairing/sqlite/store.js';
import { pairingStoreContract } from '../../contract/pairing-store.js';
import { execute } from '../../support/sqlite-files.js';
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

describeWith(['sqlite3'], 'the schema as the sqlite3 CLI shows it', () => {
  const path = newFile();
  openDatabase(path).close();
  const cli = (sql: string) =>
    execFileSync('sqlite3', ['-readonly', path, sql], { encoding: 'utf8' }).trim().split('\n');

  test('pendings and rooms have the documented columns in order', () => {
    const columns = (table: string) =>
      cli(`SELECT name, type, "notnull", pk FROM pragma_table_info('${table}') ORDER BY cid`);
    expect(columns('pendings').slice(0, 4)).toEqual([
      'joinid|TEXT|1|1',
      'client1|TEXT|1|0',
      'exp|DATETIME|1|0',
      'client2|TEXT|0|0',
    ]);
    expect(columns('rooms').slice(0, 3)).toEqual([
      'roomid|TEXT|1|1',
      'client1|TEXT|1|0',
      'client2|TEXT|1|0',
    ]);
  });

  test('a writer may leave out any further columns', () => {
    for (const table of ['pendings', 'rooms']) {
      const required = cli(
        `SELECT name FROM pragma_table_info('${table}') WHERE "notnull" AND dflt_value IS NULL`,
      );
      const described = ['joinid', 'client1', 'exp', 'roomid', 'client2'];
      expect(described).toEqual(expect.arrayContaining(required));
    }
  });

  test('there are indices by client1 and exp, and by client1 and client2', () => {
    const indexed = (table: string) =>
      cli(
        `SELECT i.name, c.name FROM pragma_index_list('${table}') i, pragma_index_info(i.name) c ORDER BY 1`,
      );
    expect(indexed('pendings')).toEqual(
      expect.arrayContaining(['idx_pendings_client1|client1', 'idx_pendings_exp|exp']),
    );
    expect(indexed('rooms')).toEqual(
      expect.arrayContaining(['idx_rooms_client1|client1', 'idx_rooms_client2|client2']),
    );
  });

  test('triggers on INSERT and UPDATE of pendings delete by datetime()', () => {
    const triggers = cli(
      "SELECT tbl_name, sql LIKE '%AFTER INSERT%', sql LIKE '%AFTER UPDATE%', sql LIKE '%DELETE FROM pendings%datetime(exp)%' FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
    );
    expect(triggers).toEqual(['pendings|1|0|1', 'pendings|0|1|1']);
  });

  test('exp is kept as UTC in ISO 8601 with milliseconds', async () => {
    const store = openSqliteStore(path);
    await create(store, '000001', 'a', NOW + 7, NOW);
    await store.close();
    expect(cli('SELECT exp, client2 IS NULL FROM pendings')).toEqual([
      '2100-01-01T00:00:00.007Z|1',
    ]);
  });
});

describe('the triggers', () => {
  const withPendings = (offsetsMs: number[]) => {
    const path = newFile();
    const db = openDatabase(path);
    onTestFinished(() => {
      db.close();
    });
    // All rows in one statement, so that its trigger runs only after the last insert.
    db.exec(
      `INSERT INTO pendings (joinid, client1, exp) VALUES ${offsetsMs
        .map((offset, n) => `('${n}', 'a', '${new Date(Date.now() + offset).toISOString()}')`)
        .join(', ')}`,
    );
    const left = () =>
      db
        .prepare('SELECT joinid FROM pendings')
        .all()
        .map(({ joinid }) => joinid);
    return { db, left };
  };

  test('delete expired rows on INSERT, and keep a row that lives for only a few milliseconds more', () => {
    const { db, left } = withPendings([60_000]);
    db.exec('DROP TRIGGER pendings_expire_on_insert');
    const add = db.prepare('INSERT INTO pendings (joinid, client1, exp) VALUES (?, ?, ?)');
    add.run('old', 'a', new Date(Date.now() - 1001).toISOString());
    expect(left()).toEqual(['0', 'old']);
    db.exec("UPDATE pendings SET client2 = NULL WHERE joinid = '0'");
    expect(left()).toEqual(['0']);
  });

  test('delete expired rows on INSERT', () => {
    const { db, left } = withPendings([60_000, -2000, -DAY]);
    expect(left()).toEqual(['0']);
    db.exec("INSERT INTO pendings (joinid, client1, exp) VALUES ('x', 'a', '2100-01-01')");
    expect(left()).toEqual(['0', 'x']);
  });

  test('never delete a live row, to the millisecond', () => {
    // Expiries spread over ten seconds, so that some are within the current second.
    const { db, left } = withPendings(Array.from({ length: 1000 }, (_, n) => 10 * n));
    const exps = db.prepare('SELECT joinid, exp FROM pendings').all() as {
      joinid: string;
      exp: string;
    }[];
    expect(exps.length).toBeGreaterThan(0);
    db.exec("UPDATE pendings SET client1 = 'b'");
    const there = new Set(left());
    const now = Date.now();
    expect(exps.filter(({ joinid, exp }) => Date.parse(exp) > now && !there.has(joinid))).toEqual(
      [],
    );
  });

  test('use the time that exp means, in any ISO 8601 format', () => {
    const { db, left } = withPendings([60_000]);
    const add = db.prepare('INSERT INTO pendings (joinid, client1, exp) VALUES (?, ?, ?)');
    const at = (offset: number) => new Date(Date.now() + offset).toISOString();
    add.run('space', 'a', at(60_000).replace('T', ' ').replace('Z', ''));
    add.run('zone', 'a', at(60_000 + 2 * 3600 * 1000).replace('Z', '+02:00'));
    db.exec("UPDATE pendings SET client1 = 'b' WHERE joinid = '0'");
    expect(left()).toEqual(expect.arrayContaining(['0', 'space', 'zone']));
  });
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

describe('rooms with an idle time', () => {
  test('that are older than the setting start their idle time at the first sweep', async () => {
    const path = newFile();
    openDatabase(path).close();
    execute(path, "INSERT INTO rooms (roomid, client1, client2) VALUES ('r', 'a', 'b')");
    const store = openSqliteStore(path, { roomIdleMs: 30 * DAY });
    expect((await store.sweep(NOW)).rooms).toBe(0);
    expect((await store.sweep(NOW + 30 * DAY)).rooms).toBe(0);
    expect((await store.sweep(NOW + 30 * DAY + 1)).rooms).toBe(1);
    await store.close();
  });
});

describeWith(['sqlite3'], 'a database locked by another process', () => {
  test('answers 503 with Retry-After to requests that write, never 404, and recovers afterwards', async () => {
    const path = newFile();
    const server = await startServer({ SQLITE_DB_PATH: path });
    onTestFinished(() => server.close());
    const { url } = server;
    const waiting = await createPending(url);
    const accepted = await createPending(url);
    await call(url, 'POST', '/api/rooms/accept', {
      joinid: accepted.joinid,
      client2: someDevice(),
    });
    const room = await pairDevices(url);
    const cli = spawn('sqlite3', [path]);
    onTestFinished(() => {
      cli.kill();
    });
    cli.stdin.write("BEGIN EXCLUSIVE; SELECT 'locked';\n");
    await once(cli.stdout, 'data');
    const pending = { joinid: someCode(), client1: someDevice(), expiresInSeconds: 60 };
    const writes: [string, string, unknown][] = [
      ['POST', '/api/rooms', pending],
      ['POST', '/api/rooms/accept', { joinid: waiting.joinid, client2: someDevice() }],
      ['POST', '/api/rooms/check', { joinid: accepted.joinid, client1: accepted.client1 }],
      ['POST', '/api/user/purge', { deviceId: room.client1 }],
      ['DELETE', '/api/rooms', { roomid: room.roomid }],
    ];
    for (const [method, target, body] of writes) {
      const answer = await call(url, method, target, body);
      expect(answer.status).toBe(503);
      expect(answer.body).toStrictEqual({ error: 'unavailable' });
      expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    }
    // In WAL mode, readers do not wait for a writer.
    expect((await call(url, 'GET', `/api/rooms?roomid=${room.roomid}`)).status).toBe(200);
    const check = { joinid: waiting.joinid, client1: waiting.client1 };
    expect((await call(url, 'POST', '/api/rooms/check', check)).status).toBe(204);
    cli.stdin.end('ROLLBACK;\n');
    await once(cli, 'exit');
    for (const [n, [method, target, body]] of writes.entries()) {
      expect((await call(url, method, target, body)).status).toBe(n === 0 ? 201 : 200);
    }
  });
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

test('an error that is not an outage is passed on unchanged', async () => {
  const store = openSqliteStore(':memory:');
  await store.close();
  await expect(store.check('000001', 'a', NOW)).rejects.toThrow(TypeError);
});
