// The app mounted below a path of another HTTP server: requests, WebSockets, other paths, and closing.
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { call, createPending, pairDevices } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { buildApp } from '../../src/app.js';
import { mount } from '../../src/http/mount.js';
import { parseConfig } from '../../src/settings/config.js';

const config = parseConfig({ USE_SQLITE: '1', SQLITE_DB_PATH: ':memory:', SHUTDOWN_SECONDS: '1' });

/** A server with the app mounted at /couplet. It answers other requests with their URL. */
async function mounted(server: Server = createServer()) {
  const app = await buildApp(config);
  const middleware = await mount(app, server, '/couplet');
  server.on('request', (request, response) =>
    middleware(request, response, () => response.end(request.url)),
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

/** Returns the status and body of a refused WebSocket. */
const refusal = (address: string) =>
  new Promise<string>((resolve) => {
    const socket = new WebSocket(address.replace('http', 'ws'));
    onTestFinished(() => socket.terminate());
    socket.on('error', () => {});
    socket.on('unexpected-response', async (_request, response: IncomingMessage) => {
      const chunks = await response.toArray();
      resolve(`${response.statusCode} ${Buffer.concat(chunks)}`);
    });
  });

test('devices pair and connect below the path, with and without a slash at its end', async () => {
  const { url } = await mounted();
  const { roomid, client1, client2 } = await pairDevices(url);
  const [one, two] = [
    await Peer.connect(url.replace('http', 'ws')),
    await Peer.connect(`${url.replace('http', 'ws')}/?a=b`),
  ];
  one.send({ type: 'join_room', roomId: roomid, deviceId: client1 });
  two.send({ type: 'join_room', roomId: roomid, deviceId: client2 });
  for (const peer of [one, two]) {
    await peer.next('room_joined');
    await peer.next('room_ready');
  }
});

test('the application serves all other paths', async () => {
  const { origin } = await mounted();
  for (const path of ['/', '/api/rooms', '/couplets', '/coupl', '/couplet.js?x=/couplet/']) {
    expect(await (await fetch(origin + path)).text()).toBe(path);
  }
});

test('an unknown path below the mount path is answered not_found in JSON', async () => {
  const { url } = await mounted();
  expect(await call(url, 'GET', '/nothing')).toMatchObject({
    status: 404,
    body: { error: 'not_found' },
  });
  expect(await refusal(`${url}/elsewhere`)).toMatch(/^404 .*not_found/);
});

test('an upgrade without a listener is a request to the application', async () => {
  const { origin } = await mounted();
  expect(await refusal(`${origin}/chat`)).toBe('200 /chat');
});

test('an upgrade to h2c below the path is a request to the app', async () => {
  const { url } = await mounted();
  const { port, pathname } = new URL(`${url}/healthz`);
  const headers = { connection: 'upgrade, http2-settings', upgrade: 'h2c', 'http2-settings': '' };
  const asked = request({ host: '127.0.0.1', port, path: pathname, headers }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  response.resume();
});

test('a target in absolute form is recognized below the path', async () => {
  const { url } = await mounted();
  const { port } = new URL(url);
  const path = 'http://somewhere/couplet/healthz';
  const asked = request({ host: '127.0.0.1', port, path }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  response.resume();
  const headers = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const upgraded = request({ host: '127.0.0.1', port, path: 'http://x/couplet', headers }).end();
  const [, socket] = await once(upgraded, 'upgrade');
  socket.destroy();
});

test('pipelined upgrades are answered in order', async () => {
  const { url } = await mounted();
  const { joinid, client1 } = await createPending(url);
  const body = JSON.stringify({ joinid, client1 });
  const h2c = 'connection: upgrade\r\nupgrade: h2c\r\n';
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(
    `POST /couplet/api/rooms/check HTTP/1.1\r\nhost: x\r\nprefer: wait=1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}` +
      `GET /own HTTP/1.1\r\nhost: x\r\n${h2c}\r\n` +
      `GET /couplet/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
  );
  const received = await text(socket);
  expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual([
    'HTTP/1.1 204',
    'HTTP/1.1 200',
    'HTTP/1.1 200',
  ]);
  expect(received).toContain('/own');
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
    await Peer.connect(address.replace('http', 'ws'));
  }
});

test('close answers held checks, closes WebSockets with 1012, and does not close the HTTP server', async () => {
  const { app, origin, url } = await mounted();
  const peer = await Peer.connect(url.replace('http', 'ws'));
  const { joinid, client1 } = await createPending(url);
  const metric = async () =>
    (await (await fetch(`${url}/metrics`)).text()).match(/^couplet_waiting_checks (\d+)/m)?.[1];
  const held = call(url, 'POST', '/api/rooms/check', { joinid, client1 }, { prefer: 'wait=30' });
  await expect.poll(metric).toBe('1');
  await app.close();
  expect((await held).status).toBe(204);
  expect((await peer.closed).code).toBe(1012);
  expect(await (await fetch(origin)).text()).toBe('/');
  expect((await call(url, 'GET', '/healthz')).status).toBe(200);
  expect(await refusal(url)).toMatch(/^503 .*unavailable/);
});

test('a request whose body never arrives does not delay the shutdown', async () => {
  const { app, url } = await mounted();
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  onTestFinished(() => {
    socket.destroy();
  });
  socket.write(
    'POST /couplet/api/rooms HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
      'content-length: 9\r\nexpect: 100-continue\r\n\r\n',
  );
  // The server has read the header.
  await once(socket, 'data');
  const gone = once(socket, 'close');
  await app.close();
  await gone;
});

test('a pipelined request whose connection has ended does not delay the shutdown', async () => {
  const { app, server, url } = await mounted();
  const check = JSON.stringify(await createPending(url));
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const [connected] = await once(server, 'connection');
  const ended = once(connected, 'close');
  server.on('request', ({ url }) => {
    if (url === '/healthz') socket.destroy();
  });
  // The check is held, so the second answer does not get its turn.
  socket.write(
    'POST /couplet/api/rooms/check HTTP/1.1\r\nhost: x\r\nprefer: wait=30\r\n' +
      `content-type: application/json\r\ncontent-length: ${check.length}\r\n\r\n${check}` +
      'GET /couplet/healthz HTTP/1.1\r\nhost: x\r\n\r\n',
  );
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
