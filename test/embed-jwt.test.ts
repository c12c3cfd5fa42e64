// Runs examples/embed-jwt and the client of docs/auth.md unchanged: no request works without a token, and no device can act as
// another.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Couplet, type PeerSession } from '@couplet/client';
import { call, someCode, someDevice } from '@couplet/testkit/api';
import { Peer, refusedHandshake } from '@couplet/testkit/peer';
import type { FastifyInstance } from 'fastify';
import { SignJWT } from 'jose';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import WebSocket from 'ws';
import { buildServer } from '../examples/embed-jwt/server.js';
import { blocks, read } from './support.js';

/** The secret that docs/auth.md starts the example with. */
const secret = new TextEncoder().encode('at-least-thirty-two-characters-long');
const app: FastifyInstance = await buildServer(secret, { SQLITE_DB_PATH: ':memory:' });
const url = await app.listen({ port: 0, host: '127.0.0.1' });
const wsUrl = url.replace('http', 'ws');
afterAll(() => app.close());

interface Claims {
  audience?: string;
  expires?: string;
  key?: Uint8Array;
}

const tokenOf = (
  device: string,
  { audience = 'couplet', expires = '5m', key = secret }: Claims = {},
) =>
  new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer('urn:example:accounts')
    .setAudience(audience)
    .setSubject(device)
    .setExpirationTime(expires)
    .sign(key);

const bearer = async (device: string, claims: Claims = {}) => ({
  authorization: `Bearer ${await tokenOf(device, claims)}`,
});

/** Pairs two devices, each with its own token; resolves to the id of their room. */
async function pair(client1: string, client2: string): Promise<string> {
  const joinid = someCode();
  const [one, two] = [await bearer(client1), await bearer(client2)];
  const pending = { joinid, client1, expiresInSeconds: 60 };
  expect((await call(url, 'POST', '/api/rooms', pending, one)).status).toBe(201);
  const accepted = await call(url, 'POST', '/api/rooms/accept', { joinid, client2 }, two);
  const checked = await call(url, 'POST', '/api/rooms/check', { joinid, client1 }, one);
  expect(checked.body).toEqual({ roomid: accepted.body?.roomid });
  return checked.body?.roomid as string;
}

test.each([
  ['no token', async () => ({})],
  ['a token that is invalid', async () => ({ authorization: 'Bearer x.y.z' })],
  ['a token of another key', () => bearer('d', { key: new Uint8Array(32) })],
  ['a token for another service', () => bearer('d', { audience: 'mail' })],
  ['an expired token', () => bearer('d', { expires: '-1m' })],
] as [string, () => Promise<Record<string, string>>][])(
  'with %s, every endpoint under /api and the opening handshake are 401',
  async (_title, headers) => {
    for (const [method, path] of [
      ['POST', '/api/rooms'],
      ['GET', '/api/rooms?roomid=x'],
      ['POST', '/api/rooms/accept'],
      ['POST', '/api/user/purge'],
    ] as const) {
      const answer = await call(url, method, path, undefined, await headers());
      expect([answer.status, answer.body], path).toEqual([401, { error: 'unauthorized' }]);
    }
    expect((await refusedHandshake(wsUrl, await headers())).status).toBe(401);
  },
);

test('two devices exchange messages with their own tokens only, and join again after these have expired', async () => {
  const [client1, client2, stranger] = [someDevice(), someDevice(), someDevice()];
  const roomId = await pair(client1, client2);
  const other = await Peer.connect(wsUrl, { headers: await bearer(stranger) });
  for (const deviceId of [client1, client2, stranger, undefined]) {
    other.send({ type: 'join_room', roomId, deviceId });
    expect(await other.next('error')).toMatchObject({ code: 'forbidden' });
  }
  const first = await Peer.connect(wsUrl, { headers: await bearer(client1) });
  const second = await Peer.connect(wsUrl, { headers: await bearer(client2) });
  expect(await first.join(roomId, client1)).toMatchObject({ isInitiator: true });
  expect(await second.join(roomId, client2)).toMatchObject({ isInitiator: false, ready: true });
  await second.next('room_ready');
  await first.next('room_ready');
  first.send({ type: 'webrtc_offer', sdp: 'v=0' });
  expect(await second.next('webrtc_offer')).toMatchObject({ sdp: 'v=0', from: first.clientId });
  // As for an ICE restart.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 600_000 });
  onTestFinished(() => void vi.useRealTimers());
  expect(await second.join(roomId, client2)).toMatchObject({ roomId });
});

test('the command of docs/auth.md makes a token for device-a', async () => {
  const command = blocks(read('docs/auth.md'), 'sh').find((block) => block.startsWith('TOKEN='));
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const { stdout } = await promisify(execFile)('sh', ['-ec', `${command}\necho $TOKEN`], { cwd });
  const headers = { authorization: `Bearer ${stdout.trim()}` };
  const peer = await Peer.connect(wsUrl, { headers });
  const roomId = await pair('device-a', someDevice());
  expect(await peer.join(roomId, 'device-a')).toMatchObject({ roomId });
});

test('the page and the probes of the server need no token', async () => {
  expect((await call(url, 'GET', '/healthz')).status).toBe(200);
  expect((await fetch(url)).status).toBe(200);
});

/** Runs the snippet of docs/auth.md. */
function couplet(deviceId: string, currentToken: () => unknown): Couplet {
  const [snippet] = blocks(read('docs/auth.md'), 'js');
  // Not used: no peer joins.
  class RTCPeerConnection {
    close() {}
  }
  vi.stubGlobal('RTCPeerConnection', RTCPeerConnection);
  vi.stubGlobal('WebSocket', WebSocket);
  onTestFinished(() => void vi.unstubAllGlobals());
  const make = new Function(
    ...['Couplet', 'url', 'deviceId', 'accounts'],
    `${snippet}; return couplet;`,
  );
  return make(Couplet, url, deviceId, { currentToken });
}

test('the client of docs/auth.md sends its token with requests and WebSockets', async () => {
  const [deviceId, client2] = [someDevice(), someDevice()];
  const joined = new Promise((resolve) => {
    const onSession = (session: PeerSession) => session.on('signaling', resolve);
    couplet(deviceId, () => tokenOf(deviceId))
      .invite({ onSession })
      .then(async (invite) => {
        invite.accepted.catch(() => {});
        onTestFinished(() => invite.cancel());
        const accept = { joinid: invite.code, client2 };
        await call(url, 'POST', '/api/rooms/accept', accept, await bearer(client2));
      });
  });
  expect(await joined).toBe('joined');
});
