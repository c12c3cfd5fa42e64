// Runs the shipped reverse-proxy files in real nginx and Caddy: couplet doctor finds no fault, and the forwarded headers are right.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { makeCertificate } from '@couplet/testkit/certificate';
import { describeWith } from '@couplet/testkit/components';
import { freePort } from '@couplet/testkit/coturn';
import { Peer } from '@couplet/testkit/peer';
import { type RunningServer, startServer, temporaryFolder } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { examine } from '../../packages/doctor/test/examination.js';
import { nginxArguments, type Ports, shipped, startProgram } from './proxy.js';

const folder = temporaryFolder();
const ORIGIN = 'https://app.example';

const PROXIES: Record<string, (ports: Ports, tls: { cert: string; key: string }) => string[]> = {
  nginx: (ports, tls) => nginxArguments(folder, ports, tls),
  caddy: ({ http, https, server }, { cert, key }) => {
    const site = shipped(folder, 'Caddyfile', {
      'chat.example.com {': 'localhost {',
      '127.0.0.1:8080': `127.0.0.1:${server}`,
      '# tls /etc/ssl/chat.example.com/fullchain.pem /etc/ssl/chat.example.com/privkey.pem': `tls ${cert} ${key}`,
    });
    const main = join(folder, 'Caddyfile.main');
    const options = `admin off\n default_bind 127.0.0.1\n http_port ${http}\n https_port ${https}`;
    writeFileSync(main, `{\n ${options}\n }\n import ${site}`);
    return ['run', '--config', main, '--adapter', 'caddyfile'];
  },
};

describeWith(['openssl'], 'in front of the server', () => {
  for (const [program, configure] of Object.entries(PROXIES)) {
    describeWith([program], program, () => {
      let server: RunningServer;
      let host: string;
      let http: number;
      let ca: string;
      let stop: (() => Promise<void>) | undefined;
      const seen: { url: string | undefined; headers: IncomingHttpHeaders }[] = [];

      beforeAll(async () => {
        const tls = makeCertificate(folder);
        ca = tls.ca;
        // With a list, the server compares the origin of its own page with Host.
        server = await startServer({ ALLOWED_ORIGINS: ORIGIN });
        const record = ({ url, headers }: IncomingMessage) => seen.push({ url, headers });
        server.app.server.on('request', record).on('upgrade', record);
        http = await freePort();
        const ports = { http, https: await freePort(), server: Number(new URL(server.url).port) };
        host = `localhost:${ports.https}`;
        // Caddy keeps files in the home folder of its user.
        const home = { HOME: folder };
        ({ stop } = await startProgram(program, configure(ports, tls), ports.https, home));
      });
      afterAll(() => Promise.all([stop?.(), server.close()]));

      const getRoom = async (headers: Record<string, string> = {}) => {
        const request = get(`https://${host}/api/rooms?roomid=x`, { ca, headers });
        const [answer] = (await once(request, 'response')) as [IncomingMessage];
        return { status: answer.statusCode, headers: answer.headers, body: await json(answer) };
      };

      test('every check of the doctor passes', async () => {
        const examined = await examine(`https://${host}`, { ca, origin: ORIGIN, limitMs: 60_000 });
        expect(examined).toMatchObject({ code: 0, failed: [] });
      });

      test('http redirects to the same address over https', async () => {
        const answer = await fetch(`http://localhost:${http}/a?b`, { redirect: 'manual' });
        expect(answer.status).toBe(308);
        // Caddy adds the port, because it is not 443 here.
        const target = answer.headers.get('location')?.replace(host, 'localhost');
        expect(target).toBe('https://localhost/a?b');
      });

      test('the client’s address, the scheme, the name with its port and the upgrade are forwarded, and the client’s own claims are not', async () => {
        const claims = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'gopher' };
        seen.length = 0;
        await getRoom(claims);
        await Peer.connect(`wss://${host}`, { ca, headers: claims });
        const common = { host, 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https' };
        const connection = expect.stringMatching(/^upgrade$/i);
        expect(seen).toMatchObject([
          { url: '/api/rooms?roomid=x', headers: common },
          { url: '/', headers: { ...common, upgrade: 'websocket', connection } },
        ]);
      });

      // This test is last, because it stops the server.
      test('while the server is down, the answer is 503 in JSON', async () => {
        await server.close();
        expect(await getRoom()).toMatchObject({
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
});
