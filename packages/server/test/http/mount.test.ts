// The app mounted below a path of another HTTP server: requests, WebSockets, other paths, and closing.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { call, createPending, pairDevices } from '@couplet/testkit/api';
import { eventually } from '@couplet/testkit/eventually';
import { Peer, refusedHandshake } from '@couplet/testkit/peer';
import { scrape } from '@couplet/testkit/prometheus';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { buildApp } from '../../src/app.js';
import { mount } from '../../src/http/mount.js';
import { parseConfig } from '../../src/settings/config.js';
import { RawSocket, rawRequest, readAnswers, request, WEBSOCKET } from '../support/raw-http.js';

const config = parseConfig({ USE_SQLITE: '1', SQLITE_DB_PATH: ':memory:', SHUTDOWN_SECONDS: '1' });

/** A server with the app mounted at /couplet. It answers other requests with their URL in JSON. */
async function mounted(server: Server = createServer()) {
  const app = await buildApp(config);
  const middleware = await mount(app, server, '/couplet');
  server.on('request', (request, response) =>
    middleware(request, response, () => response.end(JSON.stringify(request.url))),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    await app.close();
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { app, server, origin, url: `${origin}/couplet` };
}

const wsOf = (url: string) => url.replace('http', 'ws');

test('devices pair and connect below the path, with and without a slash at its end', async () => {
  const { url } = await mounted();
  const { roomid, client1, client2 } = await pairDevices(url);
  const one = await Peer.connect(wsOf(url));
  await one.join(roomid, client1);
  await (await Peer.connect(`${wsOf(url)}/?a=b`)).join(roomid, client2);
  await one.next('room_ready');
});

test('the application serves all other paths', async () => {
  const { origin } = await mounted();
  for (const path of ['/', '/api/rooms', '/couplets', '/coupl', '/couplet.js?x=/couplet/']) {
    expect((await call(origin, 'GET', path)).body).toBe(path);
  }
});

test('an unknown path below the mount path is answered not_found in JSON', async () => {
  const { url } = await mounted();
  expect(await call(url, 'GET', '/nothing')).toMatchObject({
    status: 404,
    body: { error: 'not_found' },
  });
  const refused = { status: 404, body: { error: 'not_found' } };
  expect(await refusedHandshake(wsOf(`${url}/elsewhere`))).toMatchObject(refused);
});

test('an upgrade without a listener is a request to the application', async () => {
  const { origin } = await mounted();
  expect(await refusedHandshake(wsOf(`${origin}/chat`))).toMatchObject({
    status: 200,
    body: '/chat',
  });
});

test('an upgrade to h2c, and a target in absolute form, are recognized below the path', async () => {
  const { origin } = await mounted();
  const h2c = {
    connection: 'upgrade, http2-settings, close',
    upgrade: 'h2c',
    'http2-settings': '',
  };
  for (const [bytes, status] of [
    [request('GET /couplet/healthz', h2c), 200],
    [request('GET http://somewhere/couplet/healthz'), 200],
    [request('GET http://x/couplet', WEBSOCKET), 101],
  ] as const) {
    expect((await rawRequest(origin, bytes)).status).toBe(status);
  }
});

const CHECK = 'POST /couplet/api/rooms/check';

test('pipelined upgrades are answered in order', async () => {
  const { origin, url } = await mounted();
  const { joinid, client1 } = await createPending(url);
  const raw = new RawSocket(Number(new URL(origin).port));
  const held = { connection: undefined, prefer: 'wait=1' };
  await raw.write(
    request(CHECK, held, JSON.stringify({ joinid, client1 })) +
      request('GET /own', { connection: 'upgrade', upgrade: 'h2c' }) +
      request('GET /couplet/healthz'),
  );
  await raw.until();
  const answers = readAnswers(raw.received);
  expect(answers.map(({ status }) => status)).toEqual([204, 200, 200]);
  expect(answers[1]?.body).toBe('"/own"');
});

test('WebSockets of the application still work', async () => {
  const server = createServer();
  const own = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, stream, head) => {
    if (request.url !== '/chat') return;
    own.handleUpgrade(request, stream, head, (socket) => socket.send('{"type":"connected"}'));
  });
  const { origin, url } = await mounted(server);
  for (const address of [`${origin}/chat`, url]) {
    await Peer.connect(wsOf(address));
  }
});

test('close answers held checks, closes WebSockets with 1012, and does not close the HTTP server', async () => {
  const { app, origin, url } = await mounted();
  const peer = await Peer.connect(wsOf(url));
  const { joinid, client1 } = await createPending(url);
  const held = call(url, 'POST', '/api/rooms/check', { joinid, client1 }, { prefer: 'wait=30' });
  await eventually(async () => expect((await scrape(url)).value('couplet_waiting_checks')).toBe(1));
  await app.close();
  expect((await held).status).toBe(204);
  expect((await peer.closed).code).toBe(1012);
  expect((await call(origin, 'GET', '/')).body).toBe('/');
  expect((await call(url, 'GET', '/healthz')).status).toBe(200);
  const refused = { status: 503, body: { error: 'unavailable' } };
  expect(await refusedHandshake(wsOf(url))).toMatchObject(refused);
});

test('a request whose body never arrives does not delay the shutdown', async () => {
  const { app, origin } = await mounted();
  const raw = new RawSocket(Number(new URL(origin).port));
  onTestFinished(() => raw.destroy());
  const headers = { 'content-type': 'application/json', 'content-length': 9 };
  await raw.write(request('POST /couplet/api/rooms', { ...headers, expect: '100-continue' }));
  // The server has read the header.
  await raw.until((received) => received.length > 0);
  await app.close();
  await raw.until();
});

test('a pipelined request whose connection has ended does not delay the shutdown', async () => {
  const { app, server, url } = await mounted();
  const check = JSON.stringify(await createPending(url));
  const raw = new RawSocket(Number(new URL(url).port));
  const [connected] = await once(server, 'connection');
  const ended = once(connected, 'close');
  server.on('request', ({ url }) => {
    if (url === '/healthz') raw.destroy();
  });
  // The check is held, so the second answer does not get its turn.
  const held = { connection: undefined, prefer: 'wait=30' };
  await raw.write(request(CHECK, held, check) + request('GET /couplet/healthz'));
  await ended;
  await app.close();
});

test.each(['', '/', 'couplet', '/couplet/', '/a?b'])(
  '%o is refused as a mount path',
  async (path) => {
    const app = await buildApp(config);
    onTestFinished(() => app.close());
    await expect(mount(app, createServer(), path)).rejects.toThrow('expected a mount path');
  },
);
