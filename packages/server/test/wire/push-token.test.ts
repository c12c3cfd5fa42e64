// Push tokens in create and accept, and POST /api/push-token: docs/protocol.md §3.
import { MAX_PUSH_TOKEN_BYTES, type PushTarget } from '@couplet/protocol';
import { type Answer, call, newPending, pairDevices, someDevice } from '@couplet/testkit/api';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, test } from 'vitest';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';

/** The tokens cannot be read over the wire. */
const store = openSqliteStore(':memory:');
const { url, close } = await startServer({}, { store });
afterAll(close);

const post = (path: string, body: object, headers = {}) => call(url, 'POST', path, body, headers);
const targetOf = async (roomid: string, device: string): Promise<PushTarget | undefined> => {
  const outcome = await store.claimPush(roomid, device, 0, Date.now());
  return outcome.kind === 'claimed' ? outcome.target : undefined;
};

const keys = { p256dh: `B${'x'.repeat(86)}`, auth: 'y'.repeat(22) };
const subscription = { endpoint: 'https://push.example.org/send/1', keys };
const canonical = JSON.stringify(subscription);
const browser = JSON.stringify({ ...subscription, expirationTime: null });
const web = (changes: object) => ({ ...subscription, ...changes });
const hex = 'c0ffee00'.repeat(8);

/** The platform and the token of a request, and the target that is stored. */
const VALID: [string, unknown, unknown, PushTarget | undefined][] = [
  ['without a platform', undefined, hex, { platform: 'ios', token: hex }],
  ['with an empty platform', '', hex, { platform: 'ios', token: hex }],
  ['of ios', 'ios', hex, { platform: 'ios', token: hex }],
  ['of android', 'android', 'f:A-b_9', { platform: 'android', token: 'f:A-b_9' }],
  ['of the greatest length', 'android', 'x'.repeat(MAX_PUSH_TOKEN_BYTES), expect.anything()],
  ['that is a subscription', 'web', web({ x: 1 }), { platform: 'web', token: canonical }],
  ['that is a subscription as text', 'web', browser, { platform: 'web', token: canonical }],
  ['that is absent', 'ios', undefined, undefined],
  ['that is null', 'web', null, undefined],
  ['that is empty', 'ios', '', undefined],
];

/** The platform and the token of a request, and the field that is named. */
const INVALID: [string, unknown, unknown, 'platform'?][] = [
  ['a number', 'ios', 5],
  ['an array', 'ios', [hex]],
  ['an object for ios', 'ios', subscription],
  ['too long', 'android', 'x'.repeat(MAX_PUSH_TOKEN_BYTES + 1)],
  ['a text with a NUL', 'ios', 'a\0b'],
  ['a text with a lone surrogate', 'ios', 'a\ud800'],
  ['a text with a space', 'ios', 'a b'],
  ['a text beyond ASCII', 'android', 'tokén'],
  ['no JSON', 'web', hex],
  ['JSON of another kind', 'web', '[]'],
  ['nested deeply', 'web', '['.repeat(MAX_PUSH_TOKEN_BYTES)],
  ['without an endpoint', 'web', JSON.stringify({ keys })],
  ['without keys', 'web', JSON.stringify({ endpoint: subscription.endpoint })],
  ['with a key that is none', 'web', web({ keys: { ...keys, p256dh: 'x'.repeat(87) } })],
  ['with a plain endpoint', 'web', web({ endpoint: 'http://push.example.org/' })],
  ['with a file as endpoint', 'web', JSON.stringify(web({ endpoint: 'file:///etc/passwd' }))],
  ['with a user', 'web', web({ endpoint: 'https://user@push.example.org/' })],
  ['with a password', 'web', JSON.stringify(web({ endpoint: 'https://:pw@push.example.org/' }))],
  ['with an endpoint that is no URL', 'web', web({ endpoint: 'https://[1/' })],
  ['with an endpoint too long', 'web', web({ endpoint: `https://${'x'.repeat(2000)}.org` })],
  ['of an unknown platform', 'windows', hex, 'platform'],
  ['of a platform that is a number', 5, null, 'platform'],
  ['of a platform in capitals', 'IOS', hex, 'platform'],
];

const bodies = (token: unknown, platform: unknown) => ({
  create: { ...newPending(), client1_token: token, platform },
  accept: (joinid: string) => ({ joinid, client2: someDevice(), client2_token: token, platform }),
});

test.each(VALID)(
  'a token %s is stored by create, accept and push-token',
  async (...[, platform, token, target]) => {
    const { create, accept } = bodies(token, platform);
    expect((await post('/api/rooms', create)).status).toBe(201);
    const { joinid, client1 } = create;
    const accepting = accept(joinid);
    const roomid = String((await post('/api/rooms/accept', accepting)).body?.roomid);
    expect(await targetOf(roomid, client1)).toEqual(target);
    expect(await targetOf(roomid, accepting.client2)).toEqual(target);

    const other = await pairDevices(url);
    const body = { roomid: other.roomid, client: other.client2, token, platform };
    await post('/api/push-token', { ...body, token: 'replaced', platform: 'android' });
    expect(await post('/api/push-token', body)).toMatchObject({
      status: 200,
      body: { ok: true },
    });
    expect(await targetOf(other.roomid, other.client2)).toEqual(target);
    expect(await targetOf(other.roomid, other.client1)).toBeUndefined();
  },
);

test.each(INVALID)(
  'a token %s is refused, and the request has no effect',
  async (...[, platform, token, faulty]) => {
    const refused = (answer: Answer, field: string) =>
      expect(answer).toMatchObject({
        status: 400,
        body: { error: `invalid_${faulty ?? field}`, field: faulty ?? field },
      });
    const { create, accept } = bodies(token, platform);
    const { joinid, client1, expiresInSeconds } = create;
    refused(await post('/api/rooms', create), 'client1_token');
    expect((await post('/api/rooms/check', { joinid, client1 })).status).toBe(404);
    await post('/api/rooms', { joinid, client1, expiresInSeconds });
    // More than the free guesses of an address.
    for (let n = 0; n < 25; n++)
      refused(await post('/api/rooms/accept', accept('999999')), 'client2_token');
    refused(await post('/api/rooms/accept', accept(joinid)), 'client2_token');
    expect((await post('/api/rooms/check', { joinid, client1 })).status).toBe(204);
    const { roomid, client1: client } = await pairDevices(url);
    await post('/api/push-token', { roomid, client, token: hex });
    refused(await post('/api/push-token', { roomid, client, token, platform }), 'token');
    expect(await targetOf(roomid, client)).toMatchObject({ token: hex });
  },
);

test('a repeat with its key changes nothing; another subscription with the key is 422', async () => {
  const { roomid, client1: client } = await pairDevices(url);
  const headers = { 'Idempotency-Key': someDevice() };
  const set = async (token: unknown, platform = 'web', key = {}) =>
    (await post('/api/push-token', { roomid, client, platform, token }, key)).status;
  expect(await set(subscription, 'web', headers)).toBe(200);
  await set(hex, 'ios');
  expect(await set(subscription, 'web', headers)).toBe(200);
  expect(await targetOf(roomid, client)).toMatchObject({ token: hex });
  const other = web({ endpoint: 'https://push.example.org/send/2' });
  expect(await set(other, 'web', headers)).toBe(422);
});

test('POST /api/badge/reset is answered 200', async () => {
  const answer = await post('/api/badge/reset', { deviceId: someDevice() });
  expect(answer).toMatchObject({ status: 200, body: { ok: true } });
});
