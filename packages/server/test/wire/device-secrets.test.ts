// Device secrets on the wire: their place in requests, and that no answer reveals them. docs/protocol.md §3.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  call,
  createPending,
  pairDevices,
  roomsApi,
  someCode,
  someDevice,
} from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { serverForTest, serverUnderTest, temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { secretHash } from '../../src/base/device-secrets.js';
import { execute } from '../support/sqlite-files.js';

const { url, wsUrl } = await serverUnderTest();
const api = roomsApi(url);
const folder = temporaryFolder();

const post = (path: string, body: object, headers = {}) => call(url, 'POST', path, body, headers);

/** A pairing in which both devices have their secrets, and the first has sent its secret. */
async function pairWithSecrets(base = url) {
  const [joinid, client1, client2] = [someCode(), someDevice(), someDevice()];
  const made = await call(base, 'POST', '/api/rooms', { joinid, client1, expiresInSeconds: 300 });
  const secret1 = String(made.body?.secret);
  const accepted = await call(base, 'POST', '/api/rooms/accept', { joinid, client2 });
  const { roomid, secret: secret2 } = accepted.body as { roomid: string; secret: string };
  await call(base, 'POST', '/api/rooms/check', { joinid, client1, secret: secret1 });
  return { roomid, client1, client2, secret1, secret2 };
}

test('a DELETE takes the secret in the header Couplet-Secret, for proxies that strip bodies, but not in the query', async () => {
  const { roomid, secret1 } = await pairWithSecrets();
  const send = async (query: string, secret: string) => {
    const path = `/api/rooms?roomid=${roomid}${query}`;
    return (await call(url, 'DELETE', path, undefined, { 'couplet-secret': secret })).status;
  };
  expect(await send(`&secret=${secret1}`, 'wrong')).toBe(403);
  expect(await send(`&secret=${secret1}`, '')).toBe(403);
  expect(await send('', secret1)).toBe(200);
});

test('null and the empty string are no secret', async () => {
  const { roomid, client2 } = await pairDevices(url);
  for (const secret of [null, '']) {
    expect((await post('/api/ice-servers', { roomid, client: client2, secret })).status).toBe(200);
    const peer = await Peer.connect(wsUrl);
    peer.send({ type: 'join_room', roomId: roomid, deviceId: client2, secret });
    await peer.next('room_joined');
  }
  expect((await api.deleteRoom({ roomid, secret: null })).status).toBe(200);
});

test.each([1, {}, ['x'], 'x'.repeat(257), '\ud800'])('%o is an invalid secret', async (secret) => {
  const { joinid, client1 } = await createPending(url);
  for (const [method, path, body] of [
    ['POST', '/api/rooms', { joinid, client1, expiresInSeconds: 300, secret }],
    ['POST', '/api/rooms/check', { joinid, client1, secret }],
    ['POST', '/api/ice-servers', { roomid: 'r', client: client1, secret }],
    ['DELETE', '/api/rooms', { roomid: 'r', secret }],
  ] as const) {
    const answer = await call(url, method, path, body);
    expect(answer).toMatchObject({
      status: 400,
      body: { error: 'invalid_secret', field: 'secret' },
    });
  }
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'join_room', roomId: 'r', secret });
  expect(await peer.next()).toMatchObject({ type: 'error', code: 'invalid_secret' });
});

test.each([
  ['x', 1],
  [[1, 'x', ''], 2],
  [Array.from({ length: 1001 }, () => 'x'), 1001],
])('a purge with the secrets %o is refused', async (secrets, count) => {
  const { roomid, client1 } = await pairDevices(url);
  const answer = await post('/api/user/purge', { deviceId: client1, secrets });
  expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_secrets', count } });
  expect((await api.room(roomid)).status).toBe(200);
});

test('a purge may include 1000 ids and 1000 secrets', async () => {
  const { client1, secret1 } = await pairWithSecrets();
  const fill = (last: string) => [...Array.from({ length: 999 }, () => someDevice()), last];
  const answer = await post('/api/user/purge', {
    deviceIds: fill(client1),
    secrets: fill(secret1),
  });
  expect(answer.body).toMatchObject({ roomsDeleted: 1, deviceIdCount: 1000 });
});

test('a pairing of an older version has no secrets, and a sent secret is ignored', async () => {
  const file = join(folder, 'old.db');
  const server = await serverForTest({ SQLITE_DB_PATH: file });
  const roomid = 'f'.repeat(48);
  execute(file, `INSERT INTO rooms (roomid, client1, client2) VALUES ('${roomid}', 'a', 'b')`);
  for (const secret of [undefined, 'any']) {
    const body = { roomid, client: 'a', secret };
    expect((await call(server.url, 'POST', '/api/ice-servers', body)).status).toBe(200);
  }
  const body = { roomid, secret: 'any' };
  expect((await call(server.url, 'DELETE', '/api/rooms', body)).status).toBe(200);
});

test('the database contains no secret', async () => {
  const file = join(folder, 'kept.db');
  const server = await serverForTest({ SQLITE_DB_PATH: file });
  const { secret1, secret2 } = await pairWithSecrets(server.url);
  const bytes = readFileSync(file, 'latin1') + readFileSync(`${file}-wal`, 'latin1');
  expect(bytes).toContain(secretHash(secret1));
  for (const secret of [secret1, secret2]) expect(bytes).not.toContain(secret);
});
