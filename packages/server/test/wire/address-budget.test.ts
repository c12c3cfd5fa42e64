// The budget of one address, and the server's answers beyond it: docs/operations.md, Limits.

import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { call, pairDevices } from '@couplet/testkit/api';
import { eventually } from '@couplet/testkit/eventually';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import type { RunningServer } from '@couplet/testkit/server';
import { serverForTest } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { textFrame } from '../fuzz/raw-frames.js';
import { IosClient, pairApps } from '../support/ios-client.js';

/** The default settings. */
const DEFAULTS = {
  MAX_LOAD_PER_ADDRESS: '',
  MAX_SOCKETS_PER_ADDRESS: '',
  MAX_SOCKETS: '',
  MAX_CREATES_PER_HOUR: '',
};

const portOf = ({ url }: RunningServer) => Number(new URL(url).port);

/** Reads a counter. The request counts towards the same address, so it is repeated while the answer is 429. */
async function metric(url: string, name: string): Promise<number> {
  const metrics = await eventually(async () => {
    const answer = await fetch(`${url}/metrics`);
    expect(answer.status).toBe(200);
    return answer.text();
  });
  const line = metrics.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

const HEALTH = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';

test('an address beyond its budget gets 429 with Retry-After and its connection is closed; another address is served', async () => {
  const { url } = await serverForTest({ MAX_LOAD_PER_ADDRESS: '1', TRUST_PROXY: '1' });
  const from = (address: string) =>
    fetch(`${url}/healthz`, {
      headers: { 'x-forwarded-for': address, origin: 'https://app.example' },
    });
  // At once: one after the other, they could take so long on a slow machine that the budget allows all of them.
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
  const started = await serverForTest({ MAX_LOAD_PER_ADDRESS: '10' });
  const socket = connect(portOf(started), '127.0.0.1');
  socket.write(`${HEALTH.repeat(150)}GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  const statuses = [...(await text(socket)).matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, code]) => code);
  expect(statuses).toEqual([...Array(150).fill('200'), '404']);
  expect(await metric(started.url, 'couplet_address_budget_waits_total')).toBeGreaterThan(0);
});

test('each request that would wait for long is answered 429, and its connection is closed', async () => {
  const started = await serverForTest({ MAX_LOAD_PER_ADDRESS: '4' });
  const sockets = Array.from({ length: 8 }, () => connect(portOf(started), '127.0.0.1'));
  for (const socket of sockets) socket.write(HEALTH);
  await Promise.all(sockets.map((socket) => once(socket, 'data')));
  const body = JSON.stringify({ deviceIds: Array.from({ length: 1000 }, (_, id) => `${id}`) });
  for (const socket of sockets) {
    socket.write(
      `POST /api/user/purge HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  }
  const answers = await Promise.all(sockets.map((socket) => text(socket)));
  const statuses = answers.map((answer) => /^HTTP\/1\.1 (\d+) /.exec(answer)?.[1]);
  expect(new Set(statuses)).toEqual(new Set(['200', '429']));
  const refused = answers.find((answer) => answer.startsWith('HTTP/1.1 429 '))?.toLowerCase();
  expect(refused).toContain('retry-after: ');
  expect(refused).toContain('connection: close');
});

test('bodies are refused before they are read: a purge of an address beyond its budget does no work', async () => {
  const { url } = await serverForTest({ MAX_LOAD_PER_ADDRESS: '1', TRUST_PROXY: '1' });
  const headers = { 'x-forwarded-for': '192.0.2.1' };
  const deviceIds = Array.from({ length: 1000 }, (_, id) => `device ${id}`);
  const statuses: number[] = [];
  // The first leaves a debt of two seconds.
  for (let n = 0; n < 3; n++) {
    statuses.push((await call(url, 'POST', '/api/user/purge', { deviceIds }, headers)).status);
  }
  expect(statuses).toEqual([200, 429, 429]);
});

test('a large body arrives whole, in pieces of any size', async () => {
  const started = await serverForTest(DEFAULTS);
  const body = JSON.stringify({ deviceIds: Array(1000).fill('x'.repeat(256)) });
  const head =
    'POST /api/user/purge HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n';
  const whole = connect(portOf(started), '127.0.0.1');
  whole.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
  expect(await text(whole)).toMatch(/^HTTP\/1\.1 200 /);
  const small = JSON.stringify({ deviceId: 'x'.repeat(200) });
  const chunks = [...small].map((byte) => `1\r\n${byte}\r\n`).join('');
  const chunked = connect(portOf(started), '127.0.0.1');
  chunked.write(`${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
  expect(await text(chunked)).toMatch(/^HTTP\/1\.1 200 /);
});

test('a body in chunks of one byte is charged as it arrives, not when it is complete', async () => {
  const started = await serverForTest(DEFAULTS);
  const socket = connect(portOf(started), '127.0.0.1');
  const chunks = '1\r\nx\r\n'.repeat(40_000);
  socket.write(
    `POST /api/rooms/check HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`,
  );
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 .*\{"error":"invalid_json"/s);
  // 40,000 chunks take about 140 ms, of which one turn has 4.
  const waits = await metric(started.url, 'couplet_address_budget_waits_total');
  expect(waits).toBeGreaterThan(20);
});

test('the server does not wait for a body that no route reads: the connection is closed', async () => {
  const started = await serverForTest({});
  const socket = connect(portOf(started), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n');
  const answer = await text(socket);
  expect(answer).toMatch(/^HTTP\/1\.1 (404|415) /);
  expect(answer.toLowerCase()).toContain('connection: close');
});

test('a WebSocket of an address beyond its budget is read more slowly: no message is lost and no connection closed', async () => {
  const started = await serverForTest({ MAX_LOAD_PER_ADDRESS: '3' });
  const [a, b] = await pairOfPeers(started.wsUrl, 'slow');
  for (let n = 0; n < 300; n++) a.send({ type: 'webrtc_offer', sdp: `${n} ${'x'.repeat(2000)}` });
  for (let n = 0; n < 300; n++) {
    expect((await b.next('webrtc_offer')).sdp).toMatch(new RegExp(`^${n} `));
  }
  expect(await a.sync()).toEqual([]);
  expect(await metric(started.url, 'couplet_address_budget_waits_total')).toBeGreaterThan(0);
});

test('an opening handshake beyond the budget is answered 429 with Retry-After', async () => {
  const started = await serverForTest({ MAX_LOAD_PER_ADDRESS: '1', TRUST_PROXY: '1' });
  const headers = { 'x-forwarded-for': '192.0.2.1' };
  const open = () =>
    new Promise<number>((resolve) => {
      const socket = new WebSocket(started.wsUrl, { headers });
      onTestFinished(() => socket.terminate());
      socket.on('error', () => {});
      socket.on('open', () => resolve(101));
      socket.on('unexpected-response', (_request, response) => {
        expect(response.headers['retry-after']).toMatch(/^\d+$/);
        response.resume();
        resolve(response.statusCode ?? 0);
      });
    });
  // One after the other, they could take so long on a slow machine that the budget allows all of them.
  const statuses = await Promise.all(Array.from({ length: 40 }, open));
  expect(new Set(statuses)).toEqual(new Set([101, 429]));
  await Peer.connect(started.wsUrl, { headers: { 'x-forwarded-for': '192.0.2.2' } });
});

test('TCP connections beyond MAX_SOCKETS_PER_ADDRESS get 503 and are counted; a trusted proxy has no limit', async () => {
  const direct = await serverForTest({ MAX_SOCKETS_PER_ADDRESS: '3' });
  const open = async (to: RunningServer) => {
    const socket = connect(portOf(to), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
  };
  await open(direct);
  await open(direct);
  await open(direct);
  const refused = await text(connect(portOf(direct), '127.0.0.1'));
  expect(refused).toMatch(/^HTTP\/1\.1 503 /);
  const behindProxy = await serverForTest({
    MAX_SOCKETS_PER_ADDRESS: '3',
    TRUST_PROXY: 'loopback',
  });
  for (let n = 0; n < 10; n++) await open(behindProxy);
  expect((await fetch(`${behindProxy.url}/healthz`)).status).toBe(200);
});

test('near MAX_SOCKETS, idle connections are closed to make room', async () => {
  const started = await serverForTest({ MAX_SOCKETS: '20' });
  const idle = Array.from({ length: 18 }, () => connect(portOf(started), '127.0.0.1'));
  onTestFinished(() => {
    for (const socket of idle) socket.destroy();
  });
  const closed = Promise.race(idle.map((socket) => text(socket)));
  for (const socket of idle) socket.write(HEALTH);
  const more = Array.from({ length: 6 }, () => connect(portOf(started), '127.0.0.1'));
  onTestFinished(() => {
    for (const socket of more) socket.destroy();
  });
  expect(await closed).toMatch(/^HTTP\/1\.1 200 /);
  expect((await fetch(`${started.url}/healthz`)).status).toBe(200);
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
  expect(await metric(started.url, 'couplet_address_budget_refusals_total')).toBe(0);
});

test('a hundred users behind one address pair and exchange messages under the default limits', async () => {
  const started = await serverForTest(DEFAULTS);
  const pairs = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      const { roomid, client1, client2 } = await pairDevices(started.url);
      const [one, other] = await Promise.all([
        Peer.connect(started.wsUrl),
        Peer.connect(started.wsUrl),
      ]);
      await one.join(roomid, client1);
      await other.join(roomid, client2);
      await one.next('room_ready');
      await other.next('room_ready');
      return { n, one, other };
    }),
  );
  for (const { one, n } of pairs) {
    one.send({ type: 'webrtc_offer', sdp: `${n} ${'v=0 '.repeat(700)}` });
    for (let k = 0; k < 20; k++) {
      one.send({ type: 'ice_candidate', candidate: { candidate: `candidate:${k}` } });
    }
  }
  for (const { other, n } of pairs) {
    expect((await other.next('webrtc_offer')).sdp).toMatch(new RegExp(`^${n} `));
    for (let k = 0; k < 20; k++) await other.next('ice_candidate');
    expect(await other.sync()).toEqual([]);
  }
  expect(await metric(started.url, 'couplet_address_budget_refusals_total')).toBe(0);
});

test('forwards are counted when the peer’s connection accepts them', async () => {
  const started = await serverForTest({ MAX_BUFFERED_BYTES: '65536' });
  const [a, b] = await pairOfPeers(started.wsUrl, 'full');
  const sender = a.socket as WebSocket & { _socket: { write(bytes: Buffer): void } };
  b.socket.pause();
  const offer = textFrame(JSON.stringify({ type: 'webrtc_offer', sdp: 'x'.repeat(12_000) }));
  let sent = 0;
  // Until the peer that does not read is closed as a slow consumer.
  while (
    sent < 2000 &&
    (await metric(started.url, 'couplet_closes_total{reason="slow_consumer"}')) === 0
  ) {
    for (let n = 0; n < 20; n++) sender._socket.write(offer);
    sent += 20;
  }
  await a.next('peer_disconnected');
  await a.sync();
  const forwarded = await metric(started.url, 'couplet_forwards_total{type="webrtc_offer"}');
  const taken = await metric(started.url, 'couplet_messages_total{type="webrtc_offer"}');
  const dropped = await metric(started.url, 'couplet_drops_total{cause="peer_gone"}');
  const lonely = await metric(started.url, 'couplet_drops_total{cause="no_peer"}');
  expect(taken).toBe(sent);
  expect(forwarded).toBeLessThan(sent);
  expect(forwarded + dropped + lonely).toBe(sent);
});
