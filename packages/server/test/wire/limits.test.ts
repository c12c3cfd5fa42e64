// Every resource is limited: excess requests are refused with a clear answer and do not affect other clients.
import { randomUUID } from 'node:crypto';
import { call, createPending, newPending, pairDevices, someDevice } from '@couplet/testkit/api';
import { Peer, pairOfPeers, refusedHandshake } from '@couplet/testkit/peer';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { rawRequest, request, WEBSOCKET } from '../support/raw-http.js';

const FULL = {
  status: 503,
  headers: { 'retry-after': expect.any(String) },
  body: { error: 'unavailable' },
};

const from = (address: string) => ({ 'x-forwarded-for': address });

test('a body over MAX_BODY_BYTES is 413', async () => {
  const { url } = await serverForTest({ MAX_BODY_BYTES: '1024' });
  const answer = await call(url, 'POST', '/api/rooms', { padding: 'x'.repeat(1024) });
  expect([answer.status, answer.body]).toEqual([413, { error: 'payload_too_large' }]);
});

test('a held check may take longer than REQUEST_TIMEOUT_SECONDS', async () => {
  const { url } = await serverForTest({ REQUEST_TIMEOUT_SECONDS: '1' });
  const { joinid, client1 } = await createPending(url);
  const check = { joinid, client1 };
  const answer = await call(url, 'POST', '/api/rooms/check', check, { prefer: 'wait=3' });
  expect(answer.status).toBe(204);
});

test('connections beyond MAX_CONNECTIONS_PER_ADDRESS are 503 with Retry-After; another address is admitted', async () => {
  const { wsUrl } = await serverForTest({ MAX_CONNECTIONS_PER_ADDRESS: '2', TRUST_PROXY: '1' });
  const one = { headers: from('192.0.2.1') };
  const first = await Peer.connect(wsUrl, one);
  await Peer.connect(wsUrl, one);
  expect(await refusedHandshake(wsUrl, one.headers)).toMatchObject(FULL);
  await Peer.connect(wsUrl, { headers: from('192.0.2.2') });
  await first.close();
  await Peer.connect(wsUrl, one);
});

test('connections beyond MAX_CONNECTIONS are 503 with Retry-After; a failed handshake releases its place', async () => {
  const { url, wsUrl } = await serverForTest({ MAX_CONNECTIONS: '1' });
  const failed = request('GET /', { ...WEBSOCKET, 'sec-websocket-key': undefined });
  expect((await rawRequest(url, failed)).status).toBe(400);
  const first = await Peer.connect(wsUrl);
  expect(await refusedHandshake(wsUrl)).toMatchObject(FULL);
  expect(await first.sync()).toEqual([]);
});

test.each<[string, Record<string, string>, (peer: Peer, n: number) => void]>([
  ['messages', { MAX_MESSAGES_PER_SECOND: '10' }, (peer) => peer.send({ type: 'ping' })],
  ['ping frames', { MAX_MESSAGES_PER_SECOND: '10' }, (peer) => peer.socket.ping()],
  [
    'bytes',
    { MAX_BYTES_PER_SECOND: '2048' },
    (peer) => peer.send(JSON.stringify({ type: 'ping', padding: 'x'.repeat(1024) })),
  ],
])(
  'a client that sends %s too fast is warned, then closed with 1008; other clients are not affected',
  async (_what, env, send) => {
    const { wsUrl } = await serverForTest(env);
    const [a, b] = await pairOfPeers(wsUrl, randomUUID());
    const flooder = await Peer.connect(wsUrl);
    for (let n = 0; n < 200; n++) send(flooder, n);
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
  },
);

test('a burst of candidates of one session passes under the default rate', async () => {
  const { wsUrl } = await serverForTest();
  const [a, b] = await pairOfPeers(wsUrl, randomUUID());
  for (let n = 0; n < 300; n++)
    a.send({ type: 'ice_candidate', candidate: { candidate: `candidate:${n}` } });
  for (let n = 0; n < 300; n++) await b.next('ice_candidate');
  expect(await a.sync()).toEqual([]);
});

test('live pendings beyond MAX_PENDINGS_PER_DEVICE and MAX_PENDINGS_PER_ADDRESS are 429, except for a renewal', async () => {
  const { url } = await serverForTest({
    MAX_PENDINGS_PER_DEVICE: '2',
    MAX_PENDINGS_PER_ADDRESS: '3',
    TRUST_PROXY: '1',
  });
  const create = (pending: Parameters<typeof newPending>[0], address = '192.0.2.1') =>
    call(url, 'POST', '/api/rooms', newPending(pending), from(address));
  const mine = newPending();
  const { client1 } = mine;
  const device = [mine, { client1 }, { client1 }, mine];
  const statuses = [];
  for (const pending of [...device, {}, {}]) statuses.push((await create(pending)).status);
  expect(statuses).toEqual([201, 201, 429, 201, 201, 429]);
  const refused = await create({});
  expect(refused.body).toEqual({ error: 'rate_limited' });
  expect(refused.headers.get('retry-after')).not.toBeNull();
  expect((await create({}, '192.0.2.2')).status).toBe(201);
});

test.each<[string, Record<string, string>, Record<string, string>]>([
  ['an accept beyond MAX_ROOMS is 503, and the code stays valid', {}, {}],
  [
    'a request with a key that is answered 503 does not use up the quota',
    { MAX_KEYED_REQUESTS_PER_HOUR: '1' },
    { 'idempotency-key': 'k' },
  ],
])('%s', async (_title, env, headers) => {
  const { url } = await serverForTest({ MAX_ROOMS: '1', ...env });
  const { roomid } = await pairDevices(url);
  const { joinid } = await createPending(url);
  const body = { joinid, client2: someDevice() };
  const accept = async () => (await call(url, 'POST', '/api/rooms/accept', body, headers)).status;
  for (let n = 0; n < 3; n++) expect(await accept()).toBe(503);
  await call(url, 'DELETE', '/api/rooms', { roomid });
  expect(await accept()).toBe(200);
});
