// Runs couplet doctor through the shipped nginx.conf in real nginx: it passes as shipped, and finds each proxy fault.
import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '@couplet/testkit/certificate';
import { describeWith } from '@couplet/testkit/components';
import { freePort } from '@couplet/testkit/coturn';
import { startServer, temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { examine, failure } from '../../packages/doctor/test/examination.js';
import { nginxArguments, SITE, startProgram } from './proxy.js';

describeWith(['nginx', 'openssl'], 'couplet doctor through nginx', () => {
  /** nginx in front of a server; `changes` are the fault. */
  async function site(
    changes: Record<string, string> = {},
    certificate: { name?: string; expired?: boolean } = {},
    env: Record<string, string> = {},
  ) {
    const folder = temporaryFolder();
    const tls = makeCertificate(folder, certificate);
    const publicFolder = join(folder, 'public');
    mkdirSync(join(publicFolder, 'demo'), { recursive: true });
    writeFileSync(join(publicFolder, 'client.js'), '');
    writeFileSync(join(publicFolder, 'demo/index.html'), '<!doctype html>');
    const server = await startServer(env, { publicFolder });
    onTestFinished(() => server.close());
    const ports = {
      http: await freePort(),
      https: await freePort(),
      server: Number(new URL(server.url).port),
    };
    const args = nginxArguments(folder, ports, tls, changes);
    const { stop } = await startProgram('nginx', args, ports.https, {});
    onTestFinished(stop);
    const { ca } = tls;
    return { url: `https://localhost:${ports.https}`, http: ports.http, ca, server };
  }

  test('as shipped, every check passes', async () => {
    const { url, ca } = await site();
    expect(await examine(url, { ca })).toMatchObject({ code: 0, failed: [] });
  });

  test('finds a proxy without upgrade headers', async () => {
    const { url, ca } = await site({
      'proxy_set_header Upgrade           $http_upgrade;': '',
      'proxy_set_header Connection        "upgrade";': '',
    });
    const { code, failed, of } = await examine(url, { ca });
    expect({ code, failed }).toEqual({ code: 1, failed: ['websocket'] });
    expect(of('websocket')).toMatchObject(
      failure(/answered 200 instead of 101/, /proxy_set_header Upgrade \$http_upgrade/),
    );
    expect(of('forwarding')).toMatchObject({
      status: 'not_applicable',
      detail: 'needs the WebSocket',
    });
  });

  test('finds a proxy that removes the port from Host or replaces Host, if ALLOWED_ORIGINS is a list', async () => {
    const env = { ALLOWED_ORIGINS: 'https://app.example' };
    const { url, ca } = await site({}, {}, env);
    const origin = 'https://app.example';
    expect((await examine(url, { ca, origin })).failed).toEqual([]);
    for (const host of ['$host', 'couplet']) {
      const { url, ca } = await site({ $http_host: host }, {}, env);
      const { failed, of } = await examine(url, { ca, origin });
      expect(failed).toEqual(['websocket']);
      expect(of('websocket')).toMatchObject(
        failure(
          /own page, https:\/\/localhost:\d+\/demo\/, is refused/,
          /proxy_set_header Host \$http_host/,
        ),
      );
    }
  });

  test('finds a name that ALLOWED_HOSTS does not list', async () => {
    const { url, ca } = await site(
      { $http_host: 'couplet' },
      {},
      { ALLOWED_HOSTS: 'chat.example.com' },
    );
    expect((await examine(url, { ca })).of('http')).toMatchObject(
      failure(/403 forbidden/, /ALLOWED_HOSTS/),
    );
  });

  test('finds a proxy that allows caching', async () => {
    const { url, ca } = await site({
      'proxy_pass http://couplet;': 'proxy_pass http://couplet; proxy_hide_header Cache-Control;',
    });
    expect((await examine(url, { ca })).of('http')).toMatchObject(
      failure(/no-store/, /cache nothing/),
    );
  });

  test('finds an expired certificate, and reports the expiry', async () => {
    const { url, ca } = await site({}, { expired: true });
    const since = new Date(new X509Certificate(ca).validTo).toISOString().slice(0, 10);
    const { code, failed, of } = await examine(url, { ca });
    expect({ code, failed }).toEqual({ code: 1, failed: ['http'] });
    expect(of('http')).toMatchObject(
      failure(new RegExp(`^the certificate of localhost port \\d+ expired on ${since}$`), /^Renew/),
    );
  });

  test('finds a certificate for another name, and reports the name', async () => {
    const { url, ca } = await site({}, { name: SITE });
    expect((await examine(url, { ca })).of('http')).toMatchObject(
      failure(
        new RegExp(`is not for localhost but for ${SITE}`),
        /Get a certificate for localhost/,
      ),
    );
  });
});
