// The budget of one address, and the server's answers beyond it: docs/operations.md, Limits.
import { once } from 'node:events';
import { call, pairDevices } from '@couplet/testkit/api';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer, pairOfPeers, refusedHandshake } from '@couplet/testkit/peer';
import { scrape } from '@couplet/testkit/prometheus';
import { serverForTest } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import type WebSocket from 'ws';
import { textFrame } from '../fuzz/raw-frames.js';
import { IosClient, pairApps } from '../support/ios-client.js';
import { RawSocket, rawRequest, readAnswers, request } from '../support/raw-http.js';

/** The default settings. */
const DEFAULTS = {
  MAX_LOAD_PER_ADDRESS: '',
  MAX_SOCKETS_PER_ADDRESS: '',
  MAX_SOCKETS: '',
  MAX_CREATES_PER_HOUR: '',
};

/** Reads a counter. The request counts towards the same address, so it is repeated while the answer is 429. */
const metric = (url: string, name: string, labels: Record<string, string> = {}) =>
  eventually(async () => (await scrape(url)).value(`couplet_${name}`, labels) ?? 0);

const HEALTH = request('GET /healthz', { connection: undefined });
const PURGE = 'POST /api/user/purge';
const CHUNKED = {
  'content-type': 'application/json',
  'content-length': undefined,
  'transfer-encoding': 'chunked',
};
const chunksOf = (text: string) =>
  `${[...text].map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`;

/** Opens this many sockets, which are closed when the test ends. */
async function open(url: string, count: number): Promise<RawSocket[]> {
  const sockets = Array.from({ length: count }, () => new RawSocket(Number(new URL(url).port)));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map(({ socket }) => once(socket, 'connect')));
  return sockets;
}

/** A server at which no budget recovers before time passes, however slow this machine is. */
async function stoppedServer(env: Record<string, string>) {
  const loadClock = new FakeClock();
  const server = await serverForTest(env, { loadClock });
  const idle = loadClock.pending;
  /** Lets time pass when an address waits for its budget, until `work` is done. */
  const passTime = async <T>(work: Promise<T>): Promise<T> => {
    await loadClock.reach(idle + 1);
    const passing = setInterval(() => loadClock.advance(100), 5);
    return work.finally(() => clearInterval(passing));
  };
  return { ...server, passTime };
}

test('an address beyond its budget gets 429 with Retry-After and its connection is closed; another address is served', async () => {
  const { url } = await stoppedServer({ MAX_LOAD_PER_ADDRESS: '1', TRUST_PROXY: '1' });
  const from = (address: string) =>
    fetch(`${url}/healthz`, {
      headers: { 'x-forwarded-for': address, origin: 'https://app.example' },
    });
  const answers = await Promise.all(Array.from({ length: 30 }, () => from('192.0.2.1')));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
  const refused = answers.find(({ status }) => status === 429) as Response;
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(refused.headers.get('access-control-allow-origin')).toBe('*');
  expect(refused.headers.get('cache-control')).toBe('no-store');
  expect(await refused.json()).toEqual({ error: 'rate_limited' });
  expect((await from('192.0.2.2')).status).toBe(200);
});

test('without a proxy in between, an address beyond its budget is read more slowly, and each request is answered', async () => {
  const { url, passTime } = await stoppedServer({ MAX_LOAD_PER_ADDRESS: '10' });
  const [raw] = (await open(url, 1)) as [RawSocket];
  await raw.write(HEALTH.repeat(150) + request('GET /none'));
  await passTime(raw.until());
  const statuses = readAnswers(raw.received).map(({ status }) => status);
  expect(statuses).toEqual([...Array(150).fill(200), 404]);
});

test('each request that would wait for long is answered 429, and its connection is closed', async () => {
  const { url, passTime } = await stoppedServer({ MAX_LOAD_PER_ADDRESS: '4' });
  const sockets = await open(url, 8);
  for (const raw of sockets) await raw.write(HEALTH);
  await Promise.all(sockets.map((raw) => raw.until((received) => received.length > 0)));
  const body = JSON.stringify({ deviceIds: Array.from({ length: 1000 }, (_, id) => `${id}`) });
  await Promise.all(sockets.map((raw) => raw.write(request(PURGE, {}, body))));
  await passTime(Promise.all(sockets.map((raw) => raw.until())));
  const answers = sockets.map(({ received }) => readAnswers(received)[1]);
  expect(new Set(answers.map((answer) => answer?.status))).toEqual(new Set([200, 429]));
  const refused = answers.find((answer) => answer?.status === 429);
  expect(refused?.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(refused?.headers.get('connection')).toBe('close');
});

test('bodies are refused before they are read: a purge of an address beyond its budget does no work', async () => {
  const { url } = await stoppedServer({ MAX_LOAD_PER_ADDRESS: '1', TRUST_PROXY: '1' });
  const headers = { 'x-forwarded-for': '192.0.2.1' };
  const deviceIds = Array.from({ length: 1000 }, (_, id) => `device ${id}`);
  // The first leaves a debt of two seconds.
  for (const status of [200, 429, 429]) {
    const answer = await call(url, 'POST', '/api/user/purge', { deviceIds }, headers);
    expect(answer.status).toBe(status);
  }
});

test('an address far beyond its budget gets no answer on further connections', async () => {
  const { url } = await stoppedServer({ MAX_LOAD_PER_ADDRESS: '1' });
  const body = JSON.stringify({ deviceIds: Array.from({ length: 1000 }, (_, id) => `${id}`) });
  expect((await rawRequest(url, request(PURGE, {}, body))).status).toBe(200);
  const further = new RawSocket(Number(new URL(url).port));
  await further.until();
  expect(further.received).toHaveLength(0);
});

test('a large body arrives whole, in pieces of any size, and is charged as it arrives', async () => {
  const { url } = await serverForTest(DEFAULTS);
  const large = JSON.stringify({ deviceIds: Array(1000).fill('x'.repeat(256)) });
  const small = JSON.stringify({ deviceId: 'x'.repeat(200) });
  expect((await rawRequest(url, request(PURGE, {}, large))).status).toBe(200);
  expect((await rawRequest(url, request(PURGE, CHUNKED, chunksOf(small)))).status).toBe(200);
  const waits = await metric(url, 'address_budget_waits_total');
  const bytes = request('POST /api/rooms/check', CHUNKED, chunksOf('x'.repeat(40_000)));
  expect((await rawRequest(url, bytes)).body).toContain('"invalid_json"');
  // 40,000 chunks take about 140 ms, of which one turn has 4.
  expect(await metric(url, 'address_budget_waits_total')).toBeGreaterThan(waits + 20);
});

test('the server does not wait for a body that no route reads: the connection is closed', async () => {
  const { url } = await serverForTest();
  const bytes = request('POST /nowhere', { connection: undefined, 'content-length': 1e9 });
  const answer = await rawRequest(url, bytes);
  expect([404, 415]).toContain(answer.status);
  expect(answer.headers.get('connection')).toBe('close');
});

test('a WebSocket of an address beyond its budget is read more slowly: no message is lost and no connection closed', async () => {
  const { wsUrl, passTime } = await stoppedServer({ MAX_LOAD_PER_ADDRESS: '3' });
  const [a, b] = await pairOfPeers(wsUrl, 'slow');
  for (let n = 0; n < 300; n++) a.send({ type: 'webrtc_offer', sdp: `${n} ${'x'.repeat(2000)}` });
  const readAll = async () => {
    for (let n = 0; n < 300; n++) {
      expect((await b.next('webrtc_offer')).sdp).toMatch(new RegExp(`^${n} `));
    }
    return a.sync();
  };
  expect(await passTime(readAll())).toEqual([]);
});

test('an opening handshake beyond the budget is answered 429 with Retry-After', async () => {
  const { wsUrl } = await stoppedServer({ MAX_LOAD_PER_ADDRESS: '1', TRUST_PROXY: '1' });
  const from = (address: string) => ({ 'x-forwarded-for': address });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 40 }, () => refusedHandshake(wsUrl, from('192.0.2.1'))),
  );
  // The others were opened.
  const refusals = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  expect(refusals.length).toBeGreaterThan(0);
  expect(refusals.length).toBeLessThan(40);
  for (const { status, headers } of refusals) {
    expect([status, headers['retry-after']]).toEqual([429, expect.stringMatching(/^\d+$/)]);
  }
  await Peer.connect(wsUrl, { headers: from('192.0.2.2') });
});

test.each(['MAX_SOCKETS', 'MAX_SOCKETS_PER_ADDRESS'])(
  'TCP connections beyond %s are 503 before any of their bytes is read',
  async (name) => {
    const { url, wsUrl } = await serverForTest({ [name]: '3' });
    const peer = await Peer.connect(wsUrl);
    await open(url, 2);
    const { status, headers } = await rawRequest(url, '');
    expect([status, headers.has('retry-after')]).toEqual([503, true]);
    expect(await peer.sync()).toEqual([]);
  },
);

test('MAX_SOCKETS_PER_ADDRESS does not apply to a trusted proxy', async () => {
  const env = { MAX_SOCKETS_PER_ADDRESS: '3', TRUST_PROXY: 'loopback' };
  const behindProxy = await serverForTest(env);
  await open(behindProxy.url, 10);
  expect((await fetch(`${behindProxy.url}/healthz`)).status).toBe(200);
});

test('near MAX_SOCKETS, idle connections are closed to make room', async () => {
  const { url } = await serverForTest({ MAX_SOCKETS: '20' });
  const idle = await open(url, 18);
  const closed = Promise.race(idle.map((raw) => raw.until().then(() => raw)));
  await Promise.all(idle.map((raw) => raw.write(HEALTH)));
  await open(url, 6);
  expect(readAnswers((await closed).received)[0]?.status).toBe(200);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test('thirty iOS sessions that poll every six seconds pass under the default limits', async () => {
  const started = await serverForTest(DEFAULTS);
  const [alice, bob] = [new IosClient(started), new IosClient(started)];
  const waiting = await Promise.all(Array.from({ length: 15 }, () => alice.create()));
  const contacts = await Promise.all(Array.from({ length: 15 }, () => pairApps(alice, bob)));
  // Minutes of polling in seconds, far more than thirty sessions ever send.
  for (let poll = 0; poll < 20; poll++) {
    const codes = await Promise.all(waiting.map((session) => alice.check(session)));
    expect(new Set(codes)).toEqual(new Set(['waiting']));
    const states = await Promise.all(contacts.map(({ hers }) => alice.contact(hers)));
    expect(new Set(states)).toEqual(new Set(['there']));
  }
  expect(await metric(started.url, 'address_budget_refusals_total')).toBe(0);
});

test('a hundred users behind one address pair and exchange messages under the default limits', async () => {
  const { url, wsUrl } = await serverForTest(DEFAULTS);
  const pairs = await Promise.all(
    Array.from({ length: 50 }, async () => pairOfPeers(wsUrl, (await pairDevices(url)).roomid)),
  );
  for (const [n, [one]] of pairs.entries()) {
    one.send({ type: 'webrtc_offer', sdp: `${n} ${'v=0 '.repeat(700)}` });
    for (let k = 0; k < 20; k++) {
      one.send({ type: 'ice_candidate', candidate: { candidate: `candidate:${k}` } });
    }
  }
  for (const [n, [, other]] of pairs.entries()) {
    expect((await other.next('webrtc_offer')).sdp).toMatch(new RegExp(`^${n} `));
    for (let k = 0; k < 20; k++) await other.next('ice_candidate');
    expect(await other.sync()).toEqual([]);
  }
  expect(await metric(url, 'address_budget_refusals_total')).toBe(0);
});

test('forwards are counted when the peer’s connection accepts them', async () => {
  const { url, wsUrl } = await serverForTest({ MAX_BUFFERED_BYTES: '65536' });
  const [a, b] = await pairOfPeers(wsUrl, 'full');
  const sender = a.socket as WebSocket & { _socket: { write(bytes: Buffer): void } };
  b.socket.pause();
  const offer = textFrame(JSON.stringify({ type: 'webrtc_offer', sdp: 'x'.repeat(12_000) }));
  let sent = 0;
  // Until the peer that does not read is closed.
  while (sent < 2000 && !(await metric(url, 'closes_total', { reason: 'slow_consumer' }))) {
    for (let n = 0; n < 20; n++) sender._socket.write(offer);
    sent += 20;
  }
  await a.next('peer_disconnected');
  await a.sync();
  const forwarded = await metric(url, 'forwards_total', { type: 'webrtc_offer' });
  expect(await metric(url, 'messages_total', { type: 'webrtc_offer' })).toBe(sent);
  const dropped = await metric(url, 'drops_total', { cause: 'peer_gone' });
  const lonely = await metric(url, 'drops_total', { cause: 'no_peer' });
  expect(forwarded).toBeLessThan(sent);
  expect(forwarded + dropped + lonely).toBe(sent);
});
