// Tests couplet doctor against a server without TURN: without faults, and with each fault and its advice.

import { once } from 'node:events';
import { createServer as createHttp, type RequestListener } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { connect as connectTo, createServer as createTcp } from 'node:net';
import { join } from 'node:path';
import { call } from '@couplet/testkit/api';
import { freePort } from '@couplet/testkit/coturn';
import { type RunningServer, serverForTest, temporaryFolder } from '@couplet/testkit/server';
import { DatabaseSync } from '@photostructure/sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { examine, failure } from './examination.js';

/** Starts another program on a loopback port. */
async function listening(something: Server): Promise<string> {
  something.listen(0, '127.0.0.1');
  await once(something, 'listening');
  onTestFinished(() => void something.close());
  return `http://127.0.0.1:${(something.address() as AddressInfo).port}`;
}

const answering = (listener: RequestListener) => listening(createHttp(listener));

/** Starts a proxy in front of a server that forwards requests with the changes of a fault. No upgrades. */
const inFrontOf = ({ app }: RunningServer, fault: RequestListener) =>
  answering(async (request, reply) => {
    fault(request, reply);
    if (reply.writableEnded) return;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url, headers } = request;
    const answer = await app.inject({
      method: method as 'GET',
      url: url as string,
      headers,
      payload: Buffer.concat(chunks),
    });
    for (const [name, value] of Object.entries(answer.headers)) {
      if (value !== undefined && !reply.hasHeader(name)) reply.setHeader(name, value);
    }
    reply.writeHead(answer.statusCode).end(answer.rawPayload);
  });

/** The same proxy in front of a server with these settings. */
const behind =
  (fault: RequestListener, env: Record<string, string> = {}) =>
  async () =>
    inFrontOf(await serverForTest(env), fault);

/** Starts a proxy that forwards the bytes of each connection to one of the servers, with another Host. */
const forwarding = (servers: readonly RunningServer[], host?: string) => {
  let turn = 0;
  return listening(
    createTcp((socket) => {
      socket.once('data', (data) => {
        const head = data.toString();
        // Only WebSockets are distributed: the other requests must use one database.
        const target = servers[/^upgrade:/im.test(head) ? turn++ % servers.length : 0];
        const onward = connectTo(Number(new URL(target?.url ?? '').port));
        onward.write(host === undefined ? head : head.replace(/^host: .*$/im, `host: ${host}`));
        socket.pipe(onward).pipe(socket);
        for (const end of [socket, onward]) end.on('error', () => socket.destroy());
      });
      socket.on('error', () => {});
    }),
  );
};

test('a server that requires device secrets passes every check, and no test data remains', async () => {
  const path = join(temporaryFolder(), 'chat.db');
  const { url } = await serverForTest({
    SQLITE_DB_PATH: path,
    REQUIRE_DEVICE_SECRETS: '1',
    PUSH_WEBHOOK_URL: 'http://127.0.0.1:1',
    PUSH_WEBHOOK_SECRET: `whsec_${'A'.repeat(32)}`,
  });
  const { code, results, of } = await examine(url);
  expect(code).toBe(0);
  expect(of('push')?.detail).toMatch(/^wakes ios, android, web; /);
  expect(results.map(({ id, status }) => `${id} ${status}`)).toEqual([
    'http passed',
    'cors passed',
    'websocket passed',
    'push passed',
    'pairing passed',
    'forwarding passed',
    'ice-servers not_applicable',
    'clean-up passed',
  ]);
  const database = new DatabaseSync(path, { readOnly: true });
  onTestFinished(() => void database.close());
  for (const table of ['rooms', 'pendings']) {
    expect(database.prepare(`SELECT * FROM ${table}`).all(), table).toEqual([]);
  }
  // Both members have left the room.
  expect((await call(url, 'GET', '/rooms')).body).toEqual({ rooms: [], totalRooms: 0 });
});

test('a server can be tested under a path', async () => {
  const url = await inFrontOf(await serverForTest(), (request) => {
    request.url = request.url?.replace(/^\/chat/, '') || '/';
  });
  expect((await examine(`${url}/chat/`)).of('pairing')).toMatchObject({ status: 'passed' });
});

test('test data is also purged if a check fails halfway or is interrupted', async () => {
  const running = await serverForTest();
  const purged: unknown[] = [];
  const stop = new AbortController();
  const url = await inFrontOf(running, (request, reply) => {
    if (request.url === '/api/user/purge') purged.push(request.method);
    if (request.url === '/api/rooms/accept') reply.writeHead(500).end('{}');
  });
  const { code, failed } = await examine(url);
  expect(code).toBe(1);
  expect(failed).toContain('pairing');
  expect(purged).toEqual(['POST']);

  const interrupted = await inFrontOf(running, (request) => {
    if (request.url === '/api/user/purge') purged.push(request.method);
    if (request.url === '/api/rooms/accept') stop.abort();
  });
  const { code: again, of } = await examine(interrupted, { stop: stop.signal });
  expect(again).toBe(1);
  expect(purged).toEqual(['POST', 'POST']);
  expect(of('pairing')).toMatchObject({ status: 'not_applicable', detail: 'interrupted' });
});

describe('it finds', () => {
  test('a server that is down: one ✗, and the other checks are not applicable', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const { code, failed, of, results } = await examine(nobody);
    expect({ code, failed }).toEqual({ code: 1, failed: ['http'] });
    expect(of('http')).toMatchObject(
      failure(/^nothing listens at 127\.0\.0\.1 port/, /^Start the server/),
    );
    expect(results.slice(1).every(({ status }) => status === 'not_applicable')).toBe(true);
  });

  const greeting = (text: string) =>
    listening(
      createTcp((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => socket.end(text));
      }),
    );
  const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\n\r\n';
  const upgrading = (status: number) => async () => {
    const front = createHttp((_request, reply) => reply.end());
    front.on('upgrade', (_request, socket) => {
      socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    });
    return listening(front);
  };
  const setting = (name: string, value: string) =>
    behind((_request, reply) => void reply.setHeader(name, value));

  test.each<[string, string, () => Promise<string>, RegExp, RegExp]>([
    [
      'an unknown name',
      'http',
      async () => 'http://chat.couplet.invalid',
      /chat\.couplet\.invalid is unknown/,
      /DNS/,
    ],
    [
      'https for a port without TLS',
      'http',
      async () => (await greeting(BAD_REQUEST)).replace('http:', 'https:'),
      /does not use TLS/,
      /http:\/\//,
    ],
    [
      'a port that does not use HTTP',
      'http',
      () => greeting('SSH-2.0\r\n'),
      /does not answer with HTTP/,
      /https:\/\//,
    ],
    [
      'a redirect and its target',
      'http',
      () =>
        answering((_request, reply) =>
          reply.writeHead(308, { location: 'https://chat.example.org/' }).end(),
        ),
      /308 and leads to https:\/\/chat\.example\.org$/,
      /give them https:\/\/chat/,
    ],
    [
      'a proxy without a server behind it',
      'http',
      () => answering((_request, reply) => reply.writeHead(502).end('<html>')),
      /502/,
      /behind it/,
    ],
    [
      'a proxy that replaces Host with a name that ALLOWED_HOSTS does not list',
      'http',
      behind(({ headers }) => void Object.assign(headers, { host: 'couplet' }), {
        ALLOWED_HOSTS: 'chat.example',
      }),
      /403 forbidden/,
      /ALLOWED_HOSTS/,
    ],
    [
      'a proxy that allows caching',
      'http',
      setting('cache-control', 'max-age=60'),
      /no-store/,
      /cache nothing/,
    ],
    [
      'a proxy that answers preflights itself',
      'cors',
      behind(({ method }, reply) => {
        if (method === 'OPTIONS') reply.writeHead(405).end();
      }),
      /OPTIONS \/api\/rooms\) answered 405/,
      /every method/,
    ],
    [
      'a proxy that allows less than the API uses',
      'cors',
      setting('access-control-allow-headers', 'content-type'),
      /does not allow prefer/,
      /its own/,
    ],
    [
      'a proxy that adds the CORS header a second time',
      'cors',
      setting('access-control-allow-origin', '*, *'),
      /twice/,
      /Remove it there/,
    ],
    [
      'a proxy that removes the CORS header',
      'cors',
      setting('access-control-allow-origin', ''),
      /no Access-Control-Allow-Origin/,
      /forward Access-Control/,
    ],
    [
      'a proxy without upgrade headers',
      'websocket',
      behind(() => {}),
      /answered 200 instead of 101/,
      /proxy_set_header Upgrade \$http_upgrade/,
    ],
    ['a login for upgrades', 'websocket', upgrading(401), /401 instead of/, /asks for a login/],
    ['forbidden upgrades', 'websocket', upgrading(403), /403 instead of/, /asks for a login/],
    ['upgrades on another path', 'websocket', upgrading(404), /404 instead of/, /path \//],
    ['upgrades without a server', 'websocket', upgrading(502), /502 instead of/, /cannot reach it/],
    [
      'a proxy that removes Prefer',
      'pairing',
      behind(({ headers }) => void delete headers.prefer),
      /answered at once/,
      /Prefer/,
    ],
    [
      'a proxy that refuses the purge of the test data',
      'clean-up',
      behind(({ url }, reply) => {
        if (url === '/api/user/purge') reply.writeHead(405).end();
      }),
      /answered 405/,
      /curl .*\/api\/user\/purge/,
    ],
  ])('%s', async (_name, check, start, detail, advice) => {
    expect((await examine(await start())).of(check)).toMatchObject(failure(detail, advice));
  });

  test('a server that accepts connections and never answers', async () => {
    const { of } = await examine(await listening(createTcp()), { limitMs: 300 });
    expect(of('http')).toMatchObject(failure(/no answer within 0\.3 s/, /firewalls/));
  });

  test('another server at the address', async () => {
    const url = await answering((request, reply) =>
      reply.writeHead(request.url === '/' ? 200 : 404).end('<h1>Welcome!</h1>'),
    );
    const { failed, of } = await examine(url);
    expect(failed).toEqual(['cors', 'websocket', 'pairing', 'clean-up']);
    expect(of('pairing')).toMatchObject(failure(/404$/, /not an answer of Couplet/));
    expect(of('forwarding')).toMatchObject({ detail: 'needs the WebSocket' });
  });

  test('the rooms API switched off; signaling is still tested', async () => {
    const { url } = await serverForTest({ USE_SQLITE: '0' });
    const { code, failed, of } = await examine(url);
    expect({ code, failed }).toEqual({ code: 1, failed: ['pairing'] });
    expect(of('pairing')).toMatchObject(failure(/rooms_api_disabled/, /USE_SQLITE=1/));
    expect(of('forwarding')).toMatchObject({ status: 'passed' });
    expect(of('ice-servers')).toMatchObject({ status: 'not_applicable' });
    expect(of('clean-up')).toMatchObject({ status: 'not_applicable' });
  });

  test('pages that ALLOWED_ORIGINS does not allow, with the origin of --origin, and a proxy that replaces Host', async () => {
    const origin = 'https://app.example';
    const server = await serverForTest({ ALLOWED_ORIGINS: origin });
    const { failed, of } = await examine(server.url);
    expect(failed).toEqual(['cors']);
    expect(of('cors')).toMatchObject(failure(/not open to any page/, /--origin/));
    const other = await examine(server.url, { origin: 'https://other.example' });
    expect(other.of('cors')).toMatchObject(
      failure(/not open to pages of https:\/\/other\.example/, /Add https:\/\/other\.example/),
    );
    expect((await examine(server.url, { origin })).code).toBe(0);
    const replaced = await examine(await forwarding([server], 'couplet'), { origin });
    expect(replaced.failed).toEqual(['websocket']);
    expect(replaced.of('websocket')).toMatchObject(
      failure(/own page, http:.*\/demo\/, is refused/, /proxy_set_header Host \$http_host/),
    );
  });

  test('two independent servers behind one address', async () => {
    const url = await forwarding([await serverForTest(), await serverForTest()]);
    const { failed, of } = await examine(url, { limitMs: 5000 });
    expect(failed).toEqual(['forwarding']);
    expect(of('forwarding')).toMatchObject(failure(/did not meet/, /same process/));
  });
});

test('the report never contains credentials of an ICE server with a fault', async () => {
  const own = { username: '1893456000:c0ffee', credential: 'sesame' };
  const iceServers = [
    { urls: ['turn:127.0.0.1:9', 'turn:127.0.0.1:9?transport=tcp'], ...own },
    { urls: ['turn:127.0.0.1:9'], username: 'visitor', credential: 'opensesame' },
    // Couplet refuses to start with these.
    { urls: 'turn:127.0.0.1:9' },
    { urls: ['http://x', 'turns:127.0.0.1:9?transport=udp'] },
  ];
  const url = await inFrontOf(await serverForTest(), (request, reply) => {
    if (request.url !== '/api/ice-servers') return;
    reply.writeHead(200, { 'content-type': 'application/json' });
    reply.end(JSON.stringify({ iceServers, ttl: 3600 }));
  });
  const { results, of } = await examine(url);
  expect(JSON.stringify(results)).not.toMatch(/visitor|sesame|\d{10}:/);
  expect(of('stun-binding', 'http://x')).toMatchObject(
    failure(/is not a STUN or TURN URL/, /whole list/),
  );
  expect(of('stun-binding', 'turns:127.0.0.1:9?transport=udp')).toMatchObject({
    status: 'not_applicable',
  });
});
