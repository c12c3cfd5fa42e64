// Every resource is limited: excess requests are refused with a clear answer and do not affect other clients.
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer, pairOfPeers, refusedHandshake } from '@couplet/testkit/peer';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const FULL = {
  status: 503,
  headers: { 'retry-after': expect.any(String) },
  body: { error: 'unavailable' },
};

const create = (url: string, client1: string, expiresInSeconds = 60) =>
  call(url, 'POST', '/api/rooms', { joinid: someCode(), expiresInSeconds, client1 });

test('a body over MAX_BODY_BYTES is 413', async () => {
  const { url } = await serverForTest({ MAX_BODY_BYTES: '1024' });
  const answer = await call(url, 'POST', '/api/rooms', { padding: 'x'.repeat(1024) });
  expect([answer.status, answer.body]).toEqual([413, { error: 'payload_too_large' }]);
});

test('a held check may take longer than REQUEST_TIMEOUT_SECONDS', async () => {
  const { url } = await serverForTest({ REQUEST_TIMEOUT_SECONDS: '1' });
  const pending = { joinid: someCode(), client1: someDevice() };
  await call(url, 'POST', '/api/rooms', { ...pending, expiresInSeconds: 60 });
  const answer = await call(url, 'POST', '/api/rooms/check', pending, { prefer: 'wait=3' });
  expect(answer.status).toBe(204);
});

test('connections beyond MAX_CONNECTIONS_PER_ADDRESS are 503 with Retry-After; another address is admitted', async () => {
  const { wsUrl } = await serverForTest({ MAX_CONNECTIONS_PER_ADDRESS: '2', TRUST_PROXY: '1' });
  const one = { headers: { 'x-forwarded-for': '192.0.2.1' } };
  const first = await Peer.connect(wsUrl, one);
  await Peer.connect(wsUrl, one);
  expect(await refusedHandshake(wsUrl, one.headers)).toMatchObject(FULL);
  await Peer.connect(wsUrl, { headers: { 'x-forwarded-for': '192.0.2.2' } });
  await first.close();
  await Peer.connect(wsUrl, one);
});

test('connections beyond MAX_CONNECTIONS are 503 with Retry-After', async () => {
  const { wsUrl } = await serverForTest({ MAX_CONNECTIONS: '1' });
  const first = await Peer.connect(wsUrl);
  expect(await refusedHandshake(wsUrl)).toMatchObject(FULL);
  expect(await first.sync()).toEqual([]);
});

test('a failed handshake releases its place', async () => {
  const { wsUrl, url } = await serverForTest({ MAX_CONNECTIONS: '1' });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /);
  await Peer.connect(wsUrl);
});

test('TCP connections beyond MAX_SOCKETS are 503 before any of their bytes is read', async () => {
  const { url, wsUrl } = await serverForTest({ MAX_SOCKETS: '1' });
  const first = await Peer.connect(wsUrl);
  const answer = await text(connect(Number(new URL(url).port), '127.0.0.1'));
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer.toLowerCase()).toContain('retry-after: ');
  expect(await first.sync()).toEqual([]);
});

test('a client that sends faster than MAX_MESSAGES_PER_SECOND is warned, then closed with 1008; other clients are not affected', async () => {
  const { wsUrl } = await serverForTest({ MAX_MESSAGES_PER_SECOND: '10' });
  const [a, b] = await pairOfPeers(wsUrl, randomUUID());
  const flooder = await Peer.connect(wsUrl);
  for (let n = 0; n < 200; n++) flooder.send({ type: 'ping' });
  expect(await flooder.closed).toEqual({ code: 1008, reason: 'policy_violation' });
  const seen: unknown[] = [];
  for (;;) {
    const message = await flooder.next().catch(() => undefined);
    if (message === undefined) break;
    if (message.type !== 'pong') seen.push(message);
  }
  expect(seen).toEqual([{ type: 'error', error: 'Too many messages', code: 'rate_limited' }]);
  a.send({ type: 'webrtc_offer', sdp: 'x' });
  expect((await b.next()).sdp).toBe('x');
});

test('a burst of candidates of one session passes under the default rate', async () => {
  const { wsUrl } = await serverForTest({});
  const [a, b] = await pairOfPeers(wsUrl, randomUUID());
  for (let n = 0; n < 300; n++)
    a.send({ type: 'ice_candidate', candidate: { candidate: `candidate:${n}` } });
  for (let n = 0; n < 300; n++) await b.next('ice_candidate');
  expect(await a.sync()).toEqual([]);
});

test('bytes are limited in the same way as messages', async () => {
  const { wsUrl } = await serverForTest({ MAX_BYTES_PER_SECOND: '2048' });
  const [a] = await pairOfPeers(wsUrl, randomUUID());
  for (let n = 0; n < 20; n++) a.send({ type: 'webrtc_offer', sdp: 'x'.repeat(1024) });
  expect(await a.closed).toMatchObject({ code: 1008 });
});

test('live pendings beyond MAX_PENDINGS_PER_DEVICE are 429, except for a renewal; an expired one no longer counts', async () => {
  const clock = new FakeClock();
  const { url } = await serverForTest({ MAX_PENDINGS_PER_DEVICE: '2' }, { clock });
  const device = someDevice();
  const mine = { joinid: someCode(), expiresInSeconds: 30, client1: device };
  expect((await call(url, 'POST', '/api/rooms', mine)).status).toBe(201);
  expect((await create(url, device)).status).toBe(201);
  const refused = await create(url, device);
  expect([refused.status, refused.body]).toEqual([429, { error: 'rate_limited' }]);
  expect(refused.headers.get('retry-after')).not.toBeNull();
  expect((await call(url, 'POST', '/api/rooms', mine)).status).toBe(201);
  expect((await create(url, someDevice())).status).toBe(201);
  clock.advance(30_000);
  expect((await create(url, device)).status).toBe(201);
});

test('live pendings beyond MAX_PENDINGS_PER_ADDRESS are 429, for any device', async () => {
  const { url } = await serverForTest({ MAX_PENDINGS_PER_ADDRESS: '2', TRUST_PROXY: '1' });
  const from = (address: string) =>
    call(
      url,
      'POST',
      '/api/rooms',
      { joinid: someCode(), expiresInSeconds: 60, client1: someDevice() },
      { 'x-forwarded-for': address },
    );
  expect((await from('192.0.2.1')).status).toBe(201);
  expect((await from('192.0.2.1')).status).toBe(201);
  expect((await from('192.0.2.1')).status).toBe(429);
  expect((await from('192.0.2.2')).status).toBe(201);
});

test('an accept beyond MAX_ROOMS is 503, and the code stays valid', async () => {
  const { url } = await serverForTest({ MAX_ROOMS: '1' });
  const { roomid } = await pairDevices(url);
  const pending = { joinid: someCode(), client1: someDevice() };
  await call(url, 'POST', '/api/rooms', { ...pending, expiresInSeconds: 60 });
  const accept = () =>
    call(url, 'POST', '/api/rooms/accept', { joinid: pending.joinid, client2: someDevice() });
  expect((await accept()).status).toBe(503);
  await call(url, 'DELETE', '/api/rooms', { roomid });
  expect((await accept()).status).toBe(200);
});

test('a request with a key that is answered 503 does not use up the quota', async () => {
  const { url } = await serverForTest({ MAX_ROOMS: '1', MAX_KEYED_REQUESTS_PER_HOUR: '1' });
  const { roomid } = await pairDevices(url);
  const { joinid } = await createPending(url);
  const body = { joinid, client2: someDevice() };
  const accept = () => call(url, 'POST', '/api/rooms/accept', body, { 'idempotency-key': joinid });
  for (let n = 0; n < 3; n++) expect((await accept()).status).toBe(503);
  await call(url, 'DELETE', '/api/rooms', { roomid });
  expect((await accept()).status).toBe(200);
});
