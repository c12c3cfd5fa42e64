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
import { examine, failure, textReport } from './examination.js';

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

describe('a server without TURN', () => {
  test('passes every check; ICE servers are not applicable; the exit code is 0', async () => {
    const { url } = await serverForTest({
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
  });

  test('passes if it requires device secrets, and no test data remains', async () => {
    const { url } = await serverForTest({ REQUIRE_DEVICE_SECRETS: '1' });
    const { code, of } = await examine(url);
    expect(code).toBe(0);
    expect(of('clean-up')).toMatchObject({ status: 'passed' });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('couplet_rooms 0');
  });

  test('can be tested under a path', async () => {
    const running = await serverForTest();
    const url = await inFrontOf(running, (request) => {
      request.url = request.url?.replace(/^\/chat/, '') || '/';
    });
    expect((await examine(`${url}/chat/`)).of('pairing')).toMatchObject({ status: 'passed' });
  });
});

describe('test data', () => {
  test('is purged with both devices', async () => {
    const path = join(temporaryFolder(), 'chat.db');
    const running = await serverForTest({ SQLITE_DB_PATH: path });
    const { code } = await examine(running.url);
    expect(code).toBe(0);
    const database = new DatabaseSync(path, { readOnly: true });
    onTestFinished(() => void database.close());
    for (const table of ['rooms', 'pendings']) {
      expect(database.prepare(`SELECT * FROM ${table}`).all(), table).toEqual([]);
    }
    // Both members have left the room.
    const { body } = await call(running.url, 'GET', '/rooms');
    expect(body).toEqual({ rooms: [], totalRooms: 0 });
  });

  test('is also purged if a check fails halfway or is interrupted', async () => {
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

  test('has advice how to purge it later if the purge fails', async () => {
    const url = await inFrontOf(await serverForTest(), (request, reply) => {
      if (request.url === '/api/user/purge') reply.writeHead(405).end();
    });
    expect((await examine(url)).of('clean-up')).toMatchObject(
      failure(/answered 405/, /curl .*\/api\/user\/purge/),
    );
  });
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

  test('an unknown name', async () => {
    const { of } = await examine('http://chat.couplet.invalid');
    expect(of('http')).toMatchObject(failure(/chat\.couplet\.invalid is unknown/, /DNS/));
  });

  test('a server that accepts connections and never answers', async () => {
    const url = await listening(createTcp());
    const { of } = await examine(url, { limitMs: 300 });
    expect(of('http')).toMatchObject(failure(/no answer within 0\.3 s/, /firewalls/));
  });

  test.each<[string, (url: string) => string, string, RegExp, RegExp]>([
    [
      'https for a port without TLS',
      (url) => url.replace('http:', 'https:'),
      '',
      /does not use TLS/,
      /http:\/\//,
    ],
    [
      'a port that does not use HTTP',
      (url) => url,
      'SSH-2.0\r\n',
      /does not answer with HTTP/,
      /https:\/\//,
    ],
  ])('%s', async (_name, address, greeting, detail, advice) => {
    const url = await listening(
      createTcp((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => socket.end(greeting || 'HTTP/1.1 400 Bad Request\r\n\r\n'));
      }),
    );
    const { of } = await examine(address(url));
    expect(of('http')).toMatchObject(failure(detail, advice));
  });

  test('a redirect and its target', async () => {
    const url = await answering((_request, reply) =>
      reply.writeHead(308, { location: 'https://chat.example.org/' }).end(),
    );
    expect((await examine(url)).of('http')).toMatchObject(
      failure(/308 and leads to https:\/\/chat\.example\.org$/, /give them https:\/\/chat/),
    );
  });

  test('a proxy without a server behind it', async () => {
    const url = await answering((_request, reply) => reply.writeHead(502).end('<html>'));
    expect((await examine(url)).of('http')).toMatchObject(failure(/502/, /behind it/));
  });

  test('another server at the address', async () => {
    const url = await answering((request, reply) =>
      reply.writeHead(request.url === '/' ? 200 : 404).end('<h1>Welcome!</h1>'),
    );
    const { failed, of } = await examine(url);
    expect(failed).toEqual(['cors', 'websocket', 'pairing', 'clean-up']);
    expect(of('pairing')).toMatchObject(failure(/404$/, /not an answer of Couplet/));
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

  test('pages that ALLOWED_ORIGINS does not allow, with the origin of --origin', async () => {
    const { url } = await serverForTest({ ALLOWED_ORIGINS: 'https://app.example' });
    const { failed, of } = await examine(url);
    expect(failed).toEqual(['cors']);
    expect(of('cors')).toMatchObject(failure(/not open to any page/, /--origin/));
    const other = await examine(url, { origin: 'https://other.example' });
    expect(other.of('cors')).toMatchObject(
      failure(/not open to pages of https:\/\/other\.example/, /Add https:\/\/other\.example/),
    );
    expect((await examine(url, { origin: 'https://app.example' })).code).toBe(0);
  });

  test.each<[string, RequestListener, RegExp, RegExp]>([
    [
      'answers preflights itself',
      (request, reply) => {
        if (request.method === 'OPTIONS') reply.writeHead(405).end();
      },
      /OPTIONS \/api\/rooms\) answered 405/,
      /every method/,
    ],
    [
      'allows less than the API uses',
      (_request, reply) => {
        reply.setHeader('access-control-allow-headers', 'content-type');
      },
      /does not allow prefer/,
      /its own/,
    ],
    [
      'adds the header a second time',
      (_request, reply) => {
        reply.setHeader('access-control-allow-origin', '*, *');
      },
      /twice/,
      /Remove it there/,
    ],
    [
      'removes the header',
      (_request, reply) => {
        reply.setHeader('access-control-allow-origin', '');
      },
      /no Access-Control-Allow-Origin/,
      /forward Access-Control/,
    ],
  ])('a proxy that %s', async (_name, fault, detail, advice) => {
    const url = await inFrontOf(await serverForTest(), fault);
    expect((await examine(url)).of('cors')).toMatchObject(failure(detail, advice));
  });

  test('a proxy that removes Prefer', async () => {
    const url = await inFrontOf(await serverForTest(), (request) => {
      delete request.headers.prefer;
    });
    const { of } = await examine(url);
    expect(of('pairing')).toMatchObject(failure(/answered at once/, /Prefer/));
  });

  test('two independent servers behind one address', async () => {
    const servers = [await serverForTest(), await serverForTest()];
    let turn = 0;
    const url = await listening(
      createTcp((socket) => {
        // Only WebSockets are distributed: the other requests must use one database.
        socket.once('data', (head) => {
          const isUpgrade = /^upgrade:/im.test(head.toString());
          const target = servers[isUpgrade ? turn++ % 2 : 0] as RunningServer;
          const onward = (target.app.server as Server).address() as AddressInfo;
          const behind = connectTo(onward.port);
          behind.write(head);
          socket.pipe(behind).pipe(socket);
          for (const end of [socket, behind]) end.on('error', () => socket.destroy());
        });
        socket.on('error', () => {});
      }),
    );
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
  const text = await textReport(url);
  expect(text).not.toMatch(/visitor|sesame|\d{10}:/);
  expect(of('stun-binding', 'http://x')).toMatchObject(
    failure(/is not a STUN or TURN URL/, /whole list/),
  );
  expect(of('stun-binding', 'turns:127.0.0.1:9?transport=udp')).toMatchObject({
    status: 'not_applicable',
  });
});
