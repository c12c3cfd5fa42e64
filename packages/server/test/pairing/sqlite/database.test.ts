// Opening the database file (docs/operations.md, Upgrade): a foreign file is refused unchanged, and ours keeps all rows.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, test } from 'vitest';
import {
  closeDatabase,
  DatabaseRefused,
  openDatabase,
  refuseOldSqlite,
} from '../../../src/pairing/sqlite/database.js';
import { openSqliteStore } from '../../../src/pairing/sqlite/store.js';
import { execute, fingerprint, makeOriginalDatabase, rows } from '../../support/sqlite-files.js';
import { accept, create, purge } from '../../support/store-calls.js';

const folder = temporaryFolder();
let files = 0;
const newFile = () => join(folder, `${++files}.db`);
const open = (path: string) => closeDatabase(openDatabase(path));
const INIT_SQL = fileURLToPath(new URL('../../../../../scripts/init-db.sql', import.meta.url));
const NOW = Date.UTC(2099, 0, 1);
const schemaOf = (path: string) => rows(path, 'SELECT * FROM sqlite_master ORDER BY name');

const modeOf = (path: string) => statSync(path).mode & 0o777;

test('a new file is in WAL mode with synchronous=FULL, and accessible only to its user, like its new folders', () => {
  const path = join(folder, 'closed', 'deep', 'chat.db');
  const db = openDatabase(path);
  for (const suffix of ['', '-wal', '-shm']) expect(modeOf(path + suffix), suffix).toBe(0o600);
  for (const made of [dirname(path), dirname(dirname(path))]) expect(modeOf(made)).toBe(0o700);
  expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
  expect(db.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
  db.close();
  expect(modeOf(path)).toBe(0o600);
});

test('files that an earlier version left open are closed to others, and an existing folder is not changed', () => {
  const shared = mkdtempSync(join(folder, 'shared-'));
  chmodSync(shared, 0o777);
  const path = join(shared, 'chat.db');
  const other = openDatabase(path);
  for (const suffix of ['', '-wal', '-shm']) chmodSync(path + suffix, 0o664);
  open(path);
  for (const suffix of ['', '-wal', '-shm']) expect(modeOf(path + suffix), suffix).toBe(0o600);
  other.close();
  expect(modeOf(shared)).toBe(0o777);
});

test('an empty file is accepted', () => {
  const path = newFile();
  writeFileSync(path, '');
  open(path);
  expect(rows(path, 'SELECT * FROM pendings')).toEqual([]);
});

test('opening again changes nothing', () => {
  const path = newFile();
  open(path);
  execute(
    path,
    `INSERT INTO rooms (roomid, client1, client2) VALUES ('r', 'a', 'b');
    PRAGMA wal_checkpoint(TRUNCATE)`,
  );
  const before = [schemaOf(path), rows(path, 'SELECT * FROM rooms')];
  const bytes = fingerprint(path);
  open(path);
  expect([schemaOf(path), rows(path, 'SELECT * FROM rooms')]).toEqual(before);
  expect(fingerprint(path)).toBe(bytes);
});

test('a database of the first server keeps every row and every further column', () => {
  const path = newFile();
  makeOriginalDatabase(path);
  const read = () => [
    rows(path, 'SELECT joinid, client1, client2, client1_token, platform FROM pendings'),
    rows(path, 'SELECT roomid, client1, client2, client1_token, client2_token FROM rooms'),
  ];
  const before = read();
  for (let n = 0; n < 2; n++) {
    open(path);
    expect(read()).toEqual(before);
  }
  expect(rows(path, 'SELECT DISTINCT exp FROM pendings')).toEqual([
    { exp: '2100-01-01T00:00:00.000Z' },
  ]);
  expect(rows(path, "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name")).toEqual(
    [{ name: 'pendings_expire_on_insert' }, { name: 'pendings_expire_on_update' }],
  );
});

test('a database of the first server can be used', async () => {
  const path = newFile();
  makeOriginalDatabase(path);
  const store = openSqliteStore(path);
  expect(await store.findRoom('older', NOW)).toMatchObject({ client1: 'A', client2: 'B' });
  expect(await store.check('000001', 'A', NOW)).toMatchObject({ kind: 'waiting' });
  expect(await store.check('000002', 'A', NOW)).toEqual({ kind: 'collected', roomId: 'newer' });
  expect(await store.check('000003', 'C', NOW)).toEqual({
    kind: 'waiting',
    expiresAt: Date.UTC(2100, 0, 1),
  });
  expect(await accept(store, '000001', 'D', 'room', NOW, NOW)).toMatchObject({ kind: 'accepted' });
  expect(await create(store, '000009', 'E', NOW + 1000, NOW)).toMatchObject({ kind: 'created' });
  expect(await purge(store, ['A'])).toEqual({ roomsDeleted: 3, pendingsDeleted: 1 });
  await store.close();
});

test('a database of the push branch of the first server keeps its tokens', async () => {
  const path = newFile();
  makeOriginalDatabase(path);
  // Later versions of the branch had platforms for rooms.
  const platforms = ['client1_platform', 'client2_platform'].map(
    (column) => `ALTER TABLE rooms ADD COLUMN ${column} TEXT DEFAULT 'ios';`,
  );
  execute(
    path,
    `${platforms.join('')}
    INSERT INTO rooms VALUES ('both', 'E', 'F', 'apns', 'fcm', 'ios', 'android'),
      ('none', 'E', 'F', '', NULL, 'ios', NULL), ('unknown', 'E', 'F', 'x', NULL, NULL, NULL);
    INSERT INTO pendings VALUES ('000004', 'G', '2100-01-01T00:00:00.000Z', NULL, 'fcm', 'android')`,
  );
  const store = openSqliteStore(path);
  await accept(store, '000001', 'D', 'new 1', NOW, NOW);
  await accept(store, '000004', 'D', 'new 2', NOW, NOW);
  const claims = [
    ['older', 'B', 'ios', 'token'],
    ['both', 'E', 'ios', 'apns'],
    ['both', 'F', 'android', 'fcm'],
    ['unknown', 'E', 'ios', 'x'],
    ['new 1', 'A', 'ios', 'token'],
    ['new 2', 'G', 'android', 'fcm'],
  ] as const;
  for (const [roomId, device, platform, token] of claims) {
    const target = { platform, token };
    expect(await store.claimPush(roomId, device, 0, NOW)).toEqual({ kind: 'claimed', target });
  }
  expect(await store.claimPush('none', 'E', 0, NOW)).toEqual({ kind: 'no_target' });
  // The tokens have moved to the rooms.
  expect(rows(path, 'SELECT * FROM pendings WHERE client1_token IS NOT NULL')).toEqual([]);
  await store.close();
});

test('a device id with a NUL that an earlier version stored as text is kept', async () => {
  const path = newFile();
  makeOriginalDatabase(path);
  execute(
    path,
    `INSERT INTO rooms (roomid, client1, client2) VALUES ('nul', 'A' || char(0) || 'x', 'B');
    INSERT INTO pendings (joinid, client1, exp)
      VALUES ('000004', 'A' || char(0) || 'x', '2100-01-01T00:00:00.000Z')`,
  );
  const store = openSqliteStore(path);
  expect(await store.findRoom('nul', NOW)).toMatchObject({ client1: 'A\0x', client2: 'B' });
  expect(await store.check('000004', 'A', NOW)).toEqual({ kind: 'not_found_or_expired' });
  expect(await store.check('000004', 'A\0x', NOW)).toMatchObject({ kind: 'waiting' });
  expect(await purge(store, ['A\0x'])).toEqual({ roomsDeleted: 1, pendingsDeleted: 1 });
  await store.close();
});

test('a version of SQLite that can lose commits is refused', () => {
  expect(() => refuseOldSqlite('3.51.2')).toThrow(/SQLite 3\.51\.2; 3\.51\.3 or newer is needed/);
  expect(() => refuseOldSqlite('3.9.0')).toThrow();
  for (const version of ['3.51.3', '3.53.0', '3.100.0', '4.0.0']) refuseOldSqlite(version);
});

test('a database whose process was killed within a transaction opens without that transaction', () => {
  const path = newFile();
  makeOriginalDatabase(path);
  const interrupted = `${path}.interrupted`;
  const db = new DatabaseSync(path);
  // With such a small cache, pages are written to the file before the transaction ends, as in a long transaction.
  db.exec('PRAGMA cache_size = 1; PRAGMA cache_spill = 1');
  db.exec(`BEGIN; UPDATE rooms SET client1 = 'undone';
    WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO rooms (roomid, client1, client2) SELECT i, hex(randomblob(100)), 'b' FROM n`);
  copyFileSync(path, interrupted);
  copyFileSync(`${path}-journal`, `${interrupted}-journal`);
  db.close();
  open(interrupted);
  expect(rows(interrupted, 'SELECT client1 FROM rooms')).toEqual([
    { client1: 'A' },
    { client1: 'A' },
  ]);
});

describeWith(['sqlite3'], 'scripts/init-db.sql in the sqlite3 CLI', () => {
  const initialise = (path: string) =>
    execFileSync('sqlite3', [path], { input: readFileSync(INIT_SQL) });

  test('creates a database that the server opens', () => {
    const [byScript, byServer] = [newFile(), newFile()];
    initialise(byScript);
    execute(byScript, "INSERT INTO rooms VALUES ('r', 'a', 'b')");
    open(byScript);
    open(byServer);
    expect(rows(byScript, 'SELECT roomid, client1, client2 FROM rooms')).toEqual([
      { roomid: 'r', client1: 'a', client2: 'b' },
    ]);
    const named = (path: string) => schemaOf(path).map(({ type, name, sql }) => [type, name, sql]);
    expect(named(byScript)).toEqual(named(byServer));
  });

  test('drops nothing from a database in use, however often it runs', () => {
    const path = newFile();
    makeOriginalDatabase(path);
    open(path);
    const before = [schemaOf(path), rows(path, 'SELECT * FROM pendings')];
    initialise(path);
    initialise(path);
    expect([schemaOf(path), rows(path, 'SELECT * FROM pendings')]).toEqual(before);
  });
});

const [NO_SQLITE, DAMAGED, OTHER] = [
  /is not a SQLite database/,
  /is damaged/,
  /belongs to another application/,
];

/** The file is made by SQL, or by a change to the bytes of a database of the server. */
test.each<[string, RegExp, string | ((whole: Buffer) => Buffer)]>([
  ['text', NO_SQLITE, () => Buffer.from('no database, '.repeat(100))],
  ['a damaged header', NO_SQLITE, (whole) => whole.fill(0xa5, 0, 40)],
  ['damaged pages', DAMAGED, (whole) => whole.fill(0xa5, 100, 3100)],
  ['half of its bytes', DAMAGED, (whole) => whole.subarray(0, whole.length / 2)],
  ['other tables', OTHER, 'CREATE TABLE photos (id)'],
  ['other tables in WAL mode', OTHER, 'PRAGMA journal_mode = WAL; CREATE TABLE photos (id)'],
  ['another id', OTHER, 'PRAGMA application_id = 7; CREATE TABLE rooms (roomid, client1, client2)'],
  ['other columns', /table rooms has no column roomid/, 'CREATE TABLE rooms (number, price)'],
  ['a newer schema', /made by a newer version \(schema 99\)/, 'PRAGMA user_version = 99'],
])('a file with %s is refused, and stays unchanged', (_what, reason, made) => {
  const path = newFile();
  if (typeof made === 'string') execute(path, made);
  else {
    const whole = newFile();
    open(whole);
    writeFileSync(path, made(readFileSync(whole)));
  }
  chmodSync(path, 0o644);
  const before = fingerprint(path);
  expect(() => openDatabase(path)).toThrow(DatabaseRefused);
  expect(() => openDatabase(path)).toThrow(reason);
  expect(fingerprint(path)).toBe(before);
  expect(modeOf(path)).toBe(0o644);
});

test('a path at which no file can be is refused, without endless retries', () => {
  const file = newFile();
  writeFileSync(file, '');
  for (const [path, reason] of [
    [folder, /is a folder/],
    [join(file, 'chat.db'), /a file is in the way/],
    [join(file, 'deep', 'chat.db'), /a file is in the way/],
    // Not even root can create files here.
    ['/proc/chat.db', /is the folder writable\?/],
    ['/proc/couplet/chat.db', /a folder that cannot be made/],
  ] as const) {
    expect(() => openDatabase(path)).toThrow(reason);
  }
});

test('a database that is locked is refused, and opens once it is free', () => {
  const path = newFile();
  makeOriginalDatabase(path);
  const locked = openDatabase(newFile());
  locked.exec(`ATTACH '${path}' AS other; BEGIN EXCLUSIVE; DELETE FROM other.rooms`);
  expect(() => openDatabase(path)).toThrow(/is locked by another process/);
  locked.exec('ROLLBACK');
  locked.close();
  open(path);
  expect(rows(path, 'SELECT * FROM rooms')).toHaveLength(2);
});
