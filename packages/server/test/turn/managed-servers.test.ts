// ICE servers from ICE_SERVERS_URL: a running server and a provider on loopback that is slow, wrong, rotating or down.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { call, pairDevices, someDevice } from '@couplet/testkit/api';
import { readMetric } from '@couplet/testkit/child-server';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { serverForTest } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { captureLog } from '../support/captured-log.js';

const TOKEN = 'the-token-of-the-provider';
const COTURN = {
  TURN_SECRET: 'the-secret-of-coturn',
  TURN_URLS: 'turn:own.example.org',
  STUN_URLS: 'stun:own.example.org',
};
const own = [
  { urls: ['stun:own.example.org'] },
  { urls: ['turn:own.example.org'], username: expect.any(String), credential: expect.any(String) },
];
const FALLBACK_NOTE = expect.stringMatching(/^ICE_SERVERS_URL .* ICE_SERVERS_EXTRA$/);
const user = { username: 'a-user', credential: 'a-credential' };
const turn = { urls: ['turn:relay.example.net:3478'], ...user };
const good = { iceServers: [turn] };

interface Asked {
  request: IncomingMessage;
  body: string;
  response: ServerResponse;
}

/** An HTTP endpoint that records its requests. Without `answer`, it never answers. */
async function provider(answer?: (asked: Asked) => void) {
  const asked: Asked[] = [];
  const self = { url: '', asked, answer };
  const server = createServer(async (request, response) => {
    const one = { request, response, body: await text(request) };
    asked.push(one);
    self.answer?.(one);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  self.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/key-in-the-path`;
  return self;
}

const json =
  (value: unknown, status = 200) =>
  ({ response }: Asked) =>
    void response.writeHead(status).end(typeof value === 'string' ? value : JSON.stringify(value));

/** A server that uses the provider, with two paired devices. */
async function serverWith({ url: ICE_SERVERS_URL }: { url: string }, env = {}) {
  const [clock, { log, text: logged }] = [new FakeClock(), captureLog()];
  log.level = 'trace';
  const settings = { ICE_SERVERS_URL, ICE_SERVERS_TOKEN: TOKEN, ...env };
  const { url, wsUrl, app } = await serverForTest(settings, { clock, log });
  const { roomid, client1, client2 } = await pairDevices(url);
  const ask = async () => {
    const { body } = await call(url, 'POST', '/api/ice-servers', { roomid, client: client1 });
    return body as { iceServers: (typeof turn)[]; ttl: number };
  };
  /** A peer of the pairing in its room. */
  const joined = async (device: string) => {
    const peer = await Peer.connect(wsUrl);
    await peer.join(roomid, device);
    return peer;
  };
  return {
    ...{ url, app, clock, logged, ask, joined, client1 },
    /** Both devices join; resolves to the ICE servers of the second one. */
    async roomReady() {
      await joined(client1);
      return (await (await joined(client2)).next('room_ready')).iceServers;
    },
    /** Passes the time, then fires what is due. A request that begins has its ten seconds still before it. */
    pass(seconds: number) {
      clock.pause(seconds * 1000);
      clock.advance(0);
    },
    notes: async () => {
      const { status, body } = await call(url, 'GET', '/readyz');
      expect(status).toBe(200);
      return body?.notes as string[] | undefined;
    },
    metric: (name: string) => readMetric(url, name),
    /** Resolves once so many requests to the provider have had this outcome. */
    had: (outcome: string, count = 1) =>
      eventually(async () => {
        const name = `couplet_ice_servers_fetches_total{outcome="${outcome}"}`;
        expect(await readMetric(url, name)).toBe(count);
      }),
  };
}

const BEARER = `Bearer ${TOKEN} application/json`;
const BASIC = 'Basic QUMwMDpwdw==';
const basic = { ICE_SERVERS_TOKEN: 'AC00:pw' };
const stun = { urls: ['stun:relay.example.net'] };

test.each<[string, Record<string, string>, string, unknown, object]>([
  [
    'Cloudflare, a list',
    {},
    `POST ${BEARER} {"ttl":3600}`,
    {
      iceServers: [
        { urls: ['stun:[2001:db8::53]', 'stun:relay.example.net:53'] },
        { ...turn, urls: [...turn.urls, 'turn:relay.example.net:53?transport=udp'] },
      ],
    },
    { iceServers: [{ urls: ['stun:[2001:db8::53]'] }, turn], ttl: 3600 },
  ],
  [
    'Cloudflare, one server, with a longer lifetime',
    { ICE_SERVERS_BODY: '{"ttl":86400}', TURN_TTL_SECONDS: '86400' },
    `POST ${BEARER} {"ttl":86400}`,
    { iceServers: turn },
    { iceServers: [turn], ttl: 86_400 },
  ],
  [
    'Twilio',
    { ...basic, ICE_SERVERS_BODY: 'Ttl=7200' },
    `POST ${BASIC} application/x-www-form-urlencoded Ttl=7200`,
    {
      ...{ ttl: '7200', username: 'x', password: 'x' },
      ice_servers: [
        { url: stun.urls[0], urls: stun.urls[0] },
        { url: turn.urls[0], urls: turn.urls[0], ...user },
      ],
    },
    { iceServers: [stun, turn], ttl: 7200 },
  ],
  [
    'Metered',
    { ICE_SERVERS_TOKEN: '', ICE_SERVERS_METHOD: 'GET' },
    'GET   ',
    [{ urls: turn.urls[0], ...user }],
    { iceServers: [turn], ttl: 3600 },
  ],
  [
    'Xirsys',
    { ...basic, ICE_SERVERS_METHOD: 'PUT', ICE_SERVERS_BODY: '{"expire":"3600"}' },
    `PUT ${BASIC} application/json {"expire":"3600"}`,
    { v: { iceServers: turn }, s: 'ok' },
    { iceServers: [turn], ttl: 3600 },
  ],
  [
    'Xirsys, formerly',
    basic,
    `POST ${BASIC} application/json {"ttl":3600}`,
    { v: { iceServers: [{ url: turn.urls[0], ...user }] }, s: 'ok' },
    { iceServers: [turn], ttl: 3600 },
  ],
  [
    'one server, with a lifetime beyond a day',
    {},
    `POST ${BEARER} {"ttl":3600}`,
    { ...turn, ttl: 172_800.5 },
    { iceServers: [turn], ttl: 86_400 },
  ],
])('an answer in the shape of %s is handed out', async (_, env, expected, answer, handedOut) => {
  const peer = await provider(json(answer, 201));
  const server = await serverWith(peer, { ...COTURN, ...env });
  await server.had('ok');
  const [{ request, body } = expect.fail()] = peer.asked;
  const { authorization = '', 'content-type': type = '' } = request.headers;
  expect(`${request.method} ${authorization} ${type} ${body}`).toBe(expected);
  expect(await server.ask()).toEqual(handedOut);
  expect(await server.notes()).toBeUndefined();
  expect(server.logged()).not.toContain('not handed out');
});

const large = [turn, { comment: 'x'.repeat(16_384) }];

/** Answers of a provider that cannot be used, by the outcome that is counted. */
const FAULTS: Record<string, Record<string, (asked: Asked) => void>> = {
  refused: {
    'refuses the token': json({ error: 'x' }, 401),
    fails: json(good, 500),
    redirects: ({ request, response }) =>
      request.url === '/elsewhere'
        ? json(good)({ request, response, body: '' })
        : void response.writeHead(307, { location: '/elsewhere' }).end(),
  },
  unreachable: {
    'closes the connection': ({ request }) => void request.socket.destroy(),
    'ends in the middle of its answer': ({ request, response }) => {
      response.writeHead(200, { 'content-length': 999 });
      response.write('[', () => request.socket.destroy());
    },
  },
  invalid: {
    'answers with nothing': json(''),
    'answers with something other than JSON': json('<html>a-credential'),
    'answers with null': json(null),
    'answers with no list': json({ s: 'error', v: 'unauthorized' }),
    'answers with an empty list': json([]),
    'answers with other entries': json([null, 'turn:x', 1, [], { urls: [[]] }]),
    'answers with STUN servers alone': json([{ urls: 'stun:x.example' }]),
    'answers without a credential': json([{ ...turn, credential: 5 }]),
    'answers with URLs that browsers refuse': json([{ ...turn, urls: 'turn://x' }]),
    'answers with a lifetime that is too short': json({ ...good, ttl: 59 }),
    'answers with a lifetime that is no number': json({ ...good, ttl: '1h' }),
    'answers with too much': json(large),
    'answers with too much, compressed': ({ response }) =>
      void response
        .writeHead(200, { 'content-encoding': 'gzip' })
        .end(gzipSync(JSON.stringify(large))),
  },
};

test.each(
  Object.entries(FAULTS).flatMap(([outcome, faults]) =>
    Object.entries(faults).map(([title, answer]) => [title, outcome, answer] as const),
  ),
)(
  'devices get the servers of coturn, and /readyz a note, if the provider %s',
  async (_, outcome, answer) => {
    const peer = await provider(answer);
    const server = await serverWith(peer, COTURN);
    await server.had(outcome);
    expect((await server.ask()).iceServers).toEqual(own);
    expect(await server.notes()).toEqual([FALLBACK_NOTE]);
    expect(await server.metric('couplet_ice_servers_source{source="coturn"}')).toBe(1);
    // After a pause of at most a second, a good answer ends the fallback.
    peer.answer = json(good);
    server.pass(1);
    await server.had('ok');
    expect((await server.ask()).iceServers).toEqual([turn]);
    expect(await server.notes()).toBeUndefined();
    expect(await server.metric('couplet_ice_servers_source{source="managed"}')).toBe(1);
    expect(server.logged().match(/ICE_SERVERS_URL/g)).toHaveLength(2);
    for (const secret of [new URL(peer.url).host, 'key-in-the-path', TOKEN, 'credential']) {
      expect(server.logged()).not.toContain(secret);
    }
  },
);

test('no join and no request waits for a provider that does not answer; it gets one request at a time, and the pauses after failures double up to five minutes', async () => {
  const peer = await provider();
  const server = await serverWith(peer, COTURN);
  await eventually(() => expect(peer.asked).toHaveLength(1));
  expect((await server.ask()).iceServers).toEqual(own);
  expect(await server.roomReady()).toEqual(own);
  for (let second = 0; second < 9; second++) server.clock.advance(1000);
  expect(await server.metric('couplet_ice_servers_fetches_total{outcome="timeout"}')).toBe(0);
  server.clock.advance(1000);
  await server.had('timeout');
  expect(peer.asked).toHaveLength(1);
  // Also if the answer begins and does not end.
  peer.answer = ({ response }) => void response.write('[');
  const { pending } = server.clock;
  for (let failures = 1; failures < 12; failures++) {
    const longestPause = Math.min(300, 2 ** (failures - 1));
    server.pass(longestPause * 0.49);
    expect(server.clock.pending).toBe(pending);
    server.pass(longestPause * 0.51);
    expect(server.clock.pending).toBe(pending + 1);
    await eventually(() => expect(peer.asked).toHaveLength(failures + 1));
    server.pass(10);
    await server.had('timeout', failures + 1);
  }
  expect(server.logged().match(/ICE_SERVERS_URL/g)).toHaveLength(1);
});

test('credentials are fetched again before half of their lifetime, and handed out until a tenth is left', async () => {
  const rotated = (n: number) => ({ ...turn, username: `user ${n}` });
  const peer = await provider();
  peer.answer = (asked) => json([rotated(peer.asked.length)])(asked);
  const env = { STUN_URLS: COTURN.STUN_URLS, TURN_TTL_SECONDS: '1000' };
  const server = await serverWith(peer, env);
  await server.had('ok');
  const { clock, pass } = server;
  pass(399);
  expect(peer.asked).toHaveLength(1);
  expect(await server.ask()).toEqual({ iceServers: [rotated(1)], ttl: 601 });
  expect(await server.metric('couplet_ice_servers_remaining_seconds')).toBe(601);
  pass(52);
  await server.had('ok', 2);
  expect(await server.ask()).toEqual({ iceServers: [rotated(2)], ttl: 1000 });

  // The wall clock is set back. Then the provider is down.
  clock.set(-7_200_000);
  peer.answer = json({}, 503);
  pass(600);
  await server.had('refused');
  expect(await server.ask()).toEqual({ iceServers: [rotated(2)], ttl: 400 });
  expect(await server.notes()).toBeUndefined();
  pass(299);
  await server.had('refused', 2);
  expect((await server.ask()).ttl).toBe(101);
  pass(1);
  const fallback = await server.ask();
  expect(fallback).toEqual({ iceServers: [{ urls: ['stun:own.example.org'] }], ttl: 60 });
  expect(await server.notes()).toEqual([FALLBACK_NOTE]);

  // Credentials that expire while the machine is suspended are replaced, not handed out.
  peer.answer = json([rotated(9)]);
  pass(300);
  await server.had('ok', 3);
  clock.set(7_200_000);
  expect(await server.ask()).toEqual(fallback);
  pass(1);
  await server.had('ok', 4);
  expect((await server.ask()).iceServers).toEqual([rotated(9)]);
});

test('URLs that browsers refuse, and those beyond 32, are left out; ICE_SERVERS_EXTRA is added; other devices get none', async () => {
  const urls = Array.from({ length: 40 }, (_, n) => `turn:relay${n}.example.net`);
  const extra = { urls: 'stun:extra.example.org' };
  const peer = await provider(
    json([
      { urls: ['stun:x.example?transport=udp', 'stun:x.example'], credentialType: 'password' },
      { urls: 'turn:without.example' },
      { ...turn, urls: ['http://x.example', ...urls] },
      turn,
    ]),
  );
  const server = await serverWith(peer, { ...COTURN, ICE_SERVERS_EXTRA: JSON.stringify([extra]) });
  await server.had('ok');
  const expected = [{ urls: ['stun:x.example'] }, { ...turn, urls: urls.slice(0, 31) }, extra];
  expect((await server.ask()).iceServers).toEqual(expected);
  expect(await server.roomReady()).toEqual(expected);
  expect(server.logged()).toContain('"urls":13');
  const other = await serverWith(peer, COTURN);
  await other.had('ok');
  const stranger = await other.joined(someDevice());
  await other.joined(other.client1);
  expect(await stranger.next('room_ready')).not.toHaveProperty('iceServers');
});

test('MAX_TURN_CREDENTIALS_PER_HOUR does not limit the credentials of a provider', async () => {
  const peer = await provider(json(good));
  const server = await serverWith(peer, { ...COTURN, MAX_TURN_CREDENTIALS_PER_HOUR: '1' });
  await server.had('ok');
  for (let n = 0; n < 3; n++) {
    const { roomid, client1: client } = await pairDevices(server.url);
    const { status } = await call(server.url, 'POST', '/api/ice-servers', { roomid, client });
    expect(status).toBe(200);
  }
});

test('an answer that arrives after the shutdown has begun changes and delays nothing', async () => {
  const peer = await provider();
  const server = await serverWith(peer, COTURN);
  await eventually(() => expect(peer.asked).toHaveLength(1));
  const before = server.logged();
  const closed = server.app.close();
  const [{ response } = expect.fail()] = peer.asked;
  const gone = once(response, 'close');
  await closed;
  await gone;
  response.end(JSON.stringify(good));
  expect(server.clock.pending).toBe(0);
  expect(server.logged().slice(before.length)).not.toContain('ICE_SERVERS_URL');
});
