// Runs the shipped reverse-proxy files in real nginx and Caddy: pairing over https, a room over wss, forwarded headers.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { someCode, someDevice } from '@couplet/testkit/api';
import { type Certificate, makeCertificate } from '@couplet/testkit/certificate';
import { describeWith } from '@couplet/testkit/components';
import { freePort } from '@couplet/testkit/coturn';
import { Peer } from '@couplet/testkit/peer';
import { type RunningServer, startServer, temporaryFolder } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nginxArguments, type Ports, SITE, secureCall, shipped, startProgram } from './proxy.js';

const folder = temporaryFolder();
let tls: Certificate;

const PROXIES = {
  nginx: (ports: Ports): string[] => nginxArguments(folder, ports, tls),
  caddy: ({ http, https, server }: Ports): string[] => {
    const site = shipped(folder, 'Caddyfile', {
      '127.0.0.1:8080': `127.0.0.1:${server}`,
      '# tls /etc/ssl/chat.example.com/fullchain.pem /etc/ssl/chat.example.com/privkey.pem': `tls ${tls.cert} ${tls.key}`,
    });
    const main = join(folder, 'Caddyfile.main');
    writeFileSync(
      main,
      `{
         admin off
         default_bind 127.0.0.1
         http_port ${http}
         https_port ${https}
       }
       import ${site}`,
    );
    return ['run', '--config', main, '--adapter', 'caddyfile'];
  },
};

for (const [program, configure] of Object.entries(PROXIES)) {
  describeWith([program, 'openssl'], `${program} in front of the server`, () => {
    let server: RunningServer;
    let ports: Ports;
    let ca: string;
    let stop: (() => Promise<void>) | undefined;
    const seen: { url: string | undefined; headers: IncomingHttpHeaders }[] = [];

    beforeAll(async () => {
      tls = makeCertificate(folder, { name: SITE });
      ca = tls.ca;
      server = await startServer();
      const record = ({ url, headers }: IncomingMessage) => seen.push({ url, headers });
      server.app.server.on('request', record).on('upgrade', record);
      ports = {
        http: await freePort(),
        https: await freePort(),
        server: Number(new URL(server.url).port),
      };
      // Caddy keeps files in the home folder of its user.
      const home = { HOME: folder };
      ({ stop } = await startProgram(program, configure(ports), ports.https, home));
    });
    afterAll(() => Promise.all([stop?.(), server.close()]));

    const call = (method: string, path: string, body?: object, headers?: Record<string, string>) =>
      secureCall({ port: ports.https, ca }, method, path, body, headers);
    const connect = (headers: Record<string, string> = {}) => {
      // In a variable, because the types of ws omit `servername`, which it passes on.
      const options = { ca, servername: SITE, headers: { host: SITE, ...headers } };
      return Peer.connect(`wss://127.0.0.1:${ports.https}`, options);
    };

    test('two devices pair over https and exchange messages in their room over wss', async () => {
      const [joinid, client1, client2] = [someCode(), someDevice(), someDevice()];
      const created = await call('POST', '/api/rooms', { joinid, expiresInSeconds: 60, client1 });
      expect(created).toMatchObject({ status: 201, body: { ok: true } });
      expect((await call('POST', '/api/rooms/check', { joinid, client1 })).status).toBe(204);
      const accepted = await call('POST', '/api/rooms/accept', { joinid, client2 });
      const roomid = accepted.body?.roomid as string;
      const checked = await call('POST', '/api/rooms/check', { joinid, client1 });
      expect(checked).toMatchObject({ status: 200, body: { roomid } });

      const first = await connect();
      await first.join(roomid, client1);
      const second = await connect();
      await second.join(roomid, client2);
      await second.next('room_ready');
      await first.next('room_ready');
      first.send({ type: 'webrtc_offer', sdp: 'v=0\r\n' });
      expect(await second.next()).toMatchObject({ type: 'webrtc_offer', sdp: 'v=0\r\n' });
      await first.close();
      expect(await second.next()).toMatchObject({ type: 'peer_disconnected' });

      const deleted = await call('DELETE', '/api/rooms', { roomid });
      expect(deleted).toMatchObject({ status: 200, body: { ok: true } });
    });

    test('a held check is answered', async () => {
      const [joinid, client1] = [someCode(), someDevice()];
      await call('POST', '/api/rooms', { joinid, expiresInSeconds: 60, client1 });
      const held = call('POST', '/api/rooms/check', { joinid, client1 }, { prefer: 'wait=20' });
      await call('POST', '/api/rooms/accept', { joinid, client2: someDevice() });
      expect(await held).toMatchObject({ status: 200 });
    });

    test('http redirects to the same address over https', async () => {
      const outgoing = get({
        host: '127.0.0.1',
        port: ports.http,
        path: '/a?b',
        headers: { host: SITE },
      });
      const [answer] = await once(outgoing, 'response');
      answer.resume();
      expect(answer.statusCode).toBe(308);
      // Caddy adds the port, because it is not 443 here.
      expect(answer.headers.location.replace(`:${ports.https}`, '')).toBe(`https://${SITE}/a?b`);
    });

    test('Host keeps its port', async () => {
      seen.length = 0;
      const host = `${SITE}:${ports.https}`;
      await call('GET', '/healthz', undefined, { host });
      await connect({ host });
      expect(seen.map(({ headers }) => headers.host)).toEqual([host, host]);
    });

    test('the client’s address, the scheme, the name and the upgrade are forwarded, and the client’s own claims are not', async () => {
      const claims = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'gopher' };
      seen.length = 0;
      await call('GET', '/api/rooms?roomid=x', undefined, claims);
      await connect(claims);
      const common = {
        host: SITE,
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-proto': 'https',
      };
      expect(seen).toEqual([
        { url: '/api/rooms?roomid=x', headers: expect.objectContaining(common) },
        {
          url: '/',
          headers: expect.objectContaining({
            ...common,
            upgrade: 'websocket',
            connection: expect.stringMatching(/^upgrade$/i),
          }),
        },
      ]);
    });

    // This test is last, because it stops the server.
    test('while the server is down, the answer is 503 in JSON', async () => {
      await server.close();
      expect(await call('GET', '/api/rooms?roomid=x')).toMatchObject({
        status: 503,
        headers: {
          'content-type': 'application/json',
          'cache-control': 'no-store',
          'retry-after': '2',
        },
        body: { error: 'unavailable' },
      });
    });
  });
}
