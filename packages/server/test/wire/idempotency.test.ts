// Idempotency-Key on every POST under /api: a client recovers from a lost answer. docs/protocol.md §3.
import { randomUUID } from 'node:crypto';
import { call, roomsApi, someCode, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { serverForTest, serverUnderTest } from '@couplet/testkit/server';
import { rowsOf } from '@couplet/testkit/stories';
import { play } from '@couplet/testkit/wire-stories';
import { expect, test } from 'vitest';

const site = await serverUnderTest();
const { url } = site;
const api = roomsApi(url);

const key = (value: string = randomUUID()) => ({ 'idempotency-key': value });

test.each(
  rowsOf(`
  a repeated create gets the first answer again, to the millisecond: a invites by r under k = 201;
      a invites by r under k = 201
  a repeated accept gets the room again; without the key it would be a conflict: a invites by r;
      b accepts r under k = 200; b accepts r under k = 200; b accepts r = 409
  a check that was answered 204 is answered 204 again: a invites by r; a checks r under k = 204;
      b accepts r; a checks r under k = 204; a checks r under l = 200
  a repeated check gets the room again; without the key the pending is gone: a invites by r;
      b accepts r; a checks r under k = 200; a checks r under k = 200; a checks r = 404
  a repeated purge gets the same counts again: a invites by r; purge a under k = deleted 0 1;
      purge a under k = deleted 0 1
  errors of the first answer are repeated too: b accepts r under k = 404; a invites by r;
      b accepts r under k = 404; b accepts r under l = 200
`),
)('%s', async (_title, script) => void (await play(script, [site])));

test('a repeat is recognized by the fields of the API, in any order', async () => {
  const [joinid, client1] = [someCode(), someDevice()];
  const headers = key();
  const first = await api.create({ joinid, expiresInSeconds: 300, client1 }, headers);
  const again = { model: { name: 'x' }, client1, expiresInSeconds: 300, joinid };
  expect((await api.create(again, headers)).body).toEqual(first.body);
  const other = { ...again, expiresInSeconds: 301 };
  expect((await api.create(other, headers)).status).toBe(422);
});

const PATHS = ['rooms', 'rooms/accept', 'rooms/check', 'rooms/cancel', 'user/purge'];

test.each(PATHS)(
  'the same key with another body, or on another path than %s, is 422',
  async (path) => {
    const headers = key();
    const body = {
      joinid: someCode(),
      expiresInSeconds: 300,
      client1: 'a',
      client2: 'b',
      deviceId: 'x',
    };
    await call(url, 'POST', `/api/${path}`, body, headers);
    for (const other of PATHS) {
      const changes = other === path ? { joinid: someCode(), deviceId: 'y' } : {};
      const again = { ...body, ...changes };
      const answer = await call(url, 'POST', `/api/${other}`, again, headers);
      expect([answer.status, answer.body]).toEqual([422, { error: 'idempotency_key_reused' }]);
    }
  },
);

test.each([
  ['empty', ''],
  ['longer than 256 bytes', 'k'.repeat(257)],
])('a key that is %s is 400', async (_case, value) => {
  const body = { joinid: someCode(), client2: 'b' };
  const answer = await api.accept(body, key(value));
  expect([answer.status, answer.body]).toEqual([400, { error: 'invalid_idempotency_key' }]);
});

test('while the first request is in progress, another with its key is 409', async () => {
  const joinid = someCode();
  const client1 = someDevice();
  await api.create({ joinid, expiresInSeconds: 300, client1 });
  const headers = { ...key(), prefer: 'wait=30' };
  const held = api.check({ joinid, client1 }, headers);
  let second = await api.check({ joinid, client1 }, { ...headers, prefer: 'wait=0' });
  // The two requests race: one of them is held, the other is refused.
  if (second.status === 204) second = await held;
  else await api.accept({ joinid, client2: someDevice() });
  expect([second.status, second.body]).toEqual([409, { error: 'request_in_progress' }]);
});

test('a key is kept for ten minutes', async () => {
  const clock = new FakeClock();
  const server = await serverForTest({}, { clock });
  const headers = key();
  const body = { joinid: someCode(), client2: 'b' };
  const accept = () => call(server.url, 'POST', '/api/rooms/accept', body, headers);
  await accept();
  await call(server.url, 'POST', '/api/rooms', { ...body, expiresInSeconds: 3600, client1: 'a' });
  clock.advance(599_999);
  expect((await accept()).status).toBe(404);
  clock.advance(1);
  expect((await accept()).status).toBe(200);
});

test('with the maximum number of records, requests with a new key are 503 and use up no quota, and one without a key is served', async () => {
  const quotas = { MAX_KEYED_REQUESTS_PER_HOUR: '2', MAX_CREATES_PER_HOUR: '1' };
  const server = await serverForTest({ MAX_IDEMPOTENCY_RECORDS: '1', ...quotas });
  const body = { joinid: someCode(), client2: 'b' };
  const accept = async (headers = {}) =>
    (await call(server.url, 'POST', '/api/rooms/accept', body, headers)).status;
  const first = key();
  expect(await accept(first)).toBe(404);
  for (let n = 0; n < 3; n++) expect(await accept(key())).toBe(503);
  expect(await accept(first)).toBe(404);
  expect(await accept()).toBe(404);
  const statuses = [];
  for (const headers of [key(), key(), {}, {}]) {
    const pending = { joinid: someCode(), client1: 'a', expiresInSeconds: 60 };
    statuses.push((await call(server.url, 'POST', '/api/rooms', pending, headers)).status);
  }
  expect(statuses).toEqual([503, 503, 201, 429]);
});
