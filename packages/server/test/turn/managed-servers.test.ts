// ICE servers from ICE_SERVERS_URL: a running server and a provider on loopback that is slow, wrong, rotating or down.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { call, pairDevices, someDevice } from '@couplet/testkit/api';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { serverForTest } from '@couplet/testkit/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Metrics } from '../../src/observability/metrics.js';
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
  const [clock, metrics, { log, text: logged }] = [new FakeClock(), new Metrics(), captureLog()];
  log.level = 'trace';
  const settings = { ICE_SERVERS_URL, ICE_SERVERS_TOKEN: TOKEN, ...env };
  const { url, wsUrl, app } = await serverForTest(settings, { clock, metrics, log });
  const { roomid, client1, client2 } = await pairDevices(url);
  const ask = async () => {
    const { body } = await call(url, 'POST', '/api/ice-servers', { roomid, client: client1 });
    return body as { iceServers: (typeof turn)[]; ttl: number };
  };
  return {
    ...{ url, wsUrl, app, clock, logged, ask, roomid, client1, client2 },
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
    metric: async (name: string) => {
      const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${name} `));
      return Number(line?.split(' ')[1]);
    },
    /** Resolves once so many requests to the provider have had this outcome. */
    async had(outcome: string, count = 1) {
      const line = `couplet_ice_servers_fetches_total{outcome="${outcome}"} ${count}\n`;
      await eventually(async () => expect(await metrics.text()).toContain(line));
    },
  };
}

describe('an answer in the shape of', () => {
  const bearer = `Bearer ${TOKEN}`;
  const basic = { ICE_SERVERS_TOKEN: 'AC00:pw' };
  const basicHeader = 'Basic QUMwMDpwdw==';
  const JSON_TYPE = 'application/json';

  test.each<[string, Record<string, string>, (string | undefined)[], unknown, object]>([
    [
      'Cloudflare, a list',
      {},
      ['POST', bearer, JSON_TYPE, '{"ttl":3600}'],
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
      ['POST', bearer, JSON_TYPE, '{"ttl":86400}'],
      { iceServers: turn },
      { iceServers: [turn], ttl: 86_400 },
    ],
    [
      'Twilio',
      { ...basic, ICE_SERVERS_BODY: 'Ttl=7200' },
      ['POST', basicHeader, 'application/x-www-form-urlencoded', 'Ttl=7200'],
      {
        ...{ ttl: '7200', username: 'x', password: 'x' },
        ice_servers: [
          { url: 'stun:relay.example.net', urls: 'stun:relay.example.net' },
          { url: turn.urls[0], urls: turn.urls[0], ...user },
        ],
      },
      { iceServers: [{ urls: ['stun:relay.example.net'] }, turn], ttl: 7200 },
    ],
    [
      'Metered',
      { ICE_SERVERS_TOKEN: '', ICE_SERVERS_METHOD: 'GET' },
      ['GET', undefined, undefined, ''],
      [{ urls: turn.urls[0], ...user }],
      { iceServers: [turn], ttl: 3600 },
    ],
    [
      'Xirsys',
      {
        ...basic,
        ICE_SERVERS_METHOD: 'PUT',
        ICE_SERVERS_BODY: '{"format":"urls","expire":"3600"}',
      },
      ['PUT', basicHeader, JSON_TYPE, '{"format":"urls","expire":"3600"}'],
      { v: { iceServers: turn }, s: 'ok' },
      { iceServers: [turn], ttl: 3600 },
    ],
    [
      'Xirsys, formerly',
      basic,
      ['POST', basicHeader, JSON_TYPE, '{"ttl":3600}'],
      { v: { iceServers: [{ url: turn.urls[0], ...user }] }, s: 'ok' },
      { iceServers: [turn], ttl: 3600 },
    ],
    [
      'one server, with a lifetime beyond a day',
      {},
      ['POST', bearer, JSON_TYPE, '{"ttl":3600}'],
      { ...turn, ttl: 172_800.5 },
      { iceServers: [turn], ttl: 86_400 },
    ],
  ])('%s is handed out', async (_, env, expected, answer, handedOut) => {
    const peer = await provider(json(answer, 201));
    const server = await serverWith(peer, { ...COTURN, ...env });
    await server.had('ok');
    const [{ request, body } = expect.fail()] = peer.asked;
    const { authorization, 'content-type': type } = request.headers;
    expect([request.method, authorization, type, body]).toEqual(expected);
    expect(await server.ask()).toEqual(handedOut);
    expect(await server.notes()).toBeUndefined();
    expect(server.logged()).not.toContain('not handed out');
  });
});

describe('devices get the servers of coturn, and /readyz a note, if the provider', () => {
  const redirected: string[] = [];

  test.each<[string, string, (asked: Asked) => void]>([
    ['refuses the token', 'refused', json({ error: 'x' }, 401)],
    ['fails', 'refused', json(good, 500)],
    [
      'redirects',
      'refused',
      ({ request, response }) => {
        if (request.url === '/elsewhere') redirected.push(request.url);
        response.writeHead(307, { location: '/elsewhere' }).end();
      },
    ],
    ['closes the connection', 'unreachable', ({ request }) => void request.socket.destroy()],
    [
      'ends in the middle of its answer',
      'unreachable',
      ({ request, response }) => {
        response.writeHead(200, { 'content-length': 999 });
        response.write('[', () => request.socket.destroy());
      },
    ],
    ['answers with nothing', 'invalid', json('')],
    ['answers with something other than JSON', 'invalid', json('<html>a-credential')],
    ['answers with null', 'invalid', json(null)],
    ['answers with no list', 'invalid', json({ s: 'error', v: 'unauthorized' })],
    ['answers with an empty list', 'invalid', json([])],
    ['answers with other entries', 'invalid', json([null, 'turn:x', 1, [], { urls: [[]] }])],
    ['answers with STUN servers alone', 'invalid', json([{ urls: 'stun:x.example' }])],
    ['answers without a credential', 'invalid', json([{ ...turn, credential: 5 }])],
    ['answers with URLs that browsers refuse', 'invalid', json([{ ...turn, urls: 'turn://x' }])],
    ['answers with a lifetime that is too short', 'invalid', json({ ...good, ttl: 59 })],
    ['answers with a lifetime that is no number', 'invalid', json({ ...good, ttl: '1h' })],
    ['answers with too much', 'invalid', json([turn, { comment: 'x'.repeat(16_384) }])],
    [
      'answers with too much, compressed',
      'invalid',
      ({ response }) => {
        response.writeHead(200, { 'content-encoding': 'gzip' });
        response.end(gzipSync(JSON.stringify([turn, { comment: 'x'.repeat(16_384) }])));
      },
    ],
  ])('%s', async (_, outcome, answer) => {
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
    expect(redirected).toEqual([]);
  });
});

test('no join and no request waits for a provider that does not answer, and it gets one request at a time', async () => {
  const peer = await provider();
  const server = await serverWith(peer, COTURN);
  await eventually(() => expect(peer.asked).toHaveLength(1));
  expect((await server.ask()).iceServers).toEqual(own);
  expect(await roomReady(server)).toEqual(own);
  for (let second = 0; second < 9; second++) server.clock.advance(1000);
  expect(await server.metric('couplet_ice_servers_fetches_total{outcome="timeout"}')).toBe(0);
  server.clock.advance(1000);
  await server.had('timeout');
  expect(peer.asked).toHaveLength(1);
});

test('the pauses after failures double up to five minutes', async () => {
  // The answer begins and does not end.
  const peer = await provider(({ response }) => void response.write('['));
  const server = await serverWith(peer);
  await eventually(() => expect(peer.asked).toHaveLength(1));
  server.pass(10);
  await server.had('timeout');
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

test('URLs that browsers refuse, and those beyond 32, are left out; ICE_SERVERS_EXTRA is added', async () => {
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
  expect(await roomReady(server)).toEqual(expected);
  expect(server.logged()).toContain('"urls":13');
});

test('only paired devices get them, however many devices share an address', async () => {
  const peer = await provider(json(good));
  const server = await serverWith(peer, { ...COTURN, MAX_TURN_CREDENTIALS_PER_HOUR: '1' });
  await server.had('ok');
  for (let n = 0; n < 3; n++) {
    const { roomid, client1 } = await pairDevices(server.url);
    const { status } = await call(server.url, 'POST', '/api/ice-servers', {
      ...{ roomid, client: client1 },
    });
    expect(status).toBe(200);
  }
  const stranger = await Peer.connect(server.wsUrl);
  await stranger.join(server.roomid, someDevice());
  await (await Peer.connect(server.wsUrl)).join(server.roomid, server.client1);
  expect(await stranger.next('room_ready')).not.toHaveProperty('iceServers');
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

/** Both devices join; resolves to the ICE servers of the second one. */
async function roomReady({ wsUrl, roomid, client1, client2 }: Record<string, unknown>) {
  const [first, second] = [await Peer.connect(`${wsUrl}`), await Peer.connect(`${wsUrl}`)];
  await first.join(`${roomid}`, `${client1}`);
  await second.join(`${roomid}`, `${client2}`);
  return (await second.next('room_ready')).iceServers;
}
