// Tests couplet doctor against a real coturn: STUN, allocations over UDP, TCP and TLS, relayed packets, and injected faults.
import { X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { makeCertificate } from '@couplet/testkit/certificate';
import { describeWith } from '@couplet/testkit/components';
import { type Coturn, freePort } from '@couplet/testkit/coturn';
import { eventually } from '@couplet/testkit/eventually';
import { startServer, temporaryFolder } from '@couplet/testkit/server';
import { coturn, SECRET } from '@couplet/testkit/turn-fixture';
import { expect, onTestFinished, test } from 'vitest';
import { examine, failure } from './examination.js';

/** Starts a server that provides these URLs. */
async function handingOut(turnUrls: string[], stunUrls: string[] = []): Promise<string> {
  const env = {
    TURN_SECRET: SECRET,
    TURN_URLS: turnUrls.join(','),
    STUN_URLS: stunUrls.join(','),
    TURN_TLS_CERT: 'elsewhere',
  };
  const { url, close } = await startServer(env);
  onTestFinished(close);
  return url;
}

const urlsOf = ({ port, tlsPort }: Coturn) => ({
  stun: `stun:127.0.0.1:${port}`,
  udp: `turn:127.0.0.1:${port}`,
  tcp: `turn:127.0.0.1:${port}?transport=tcp`,
  tls: `turns:localhost:${tlsPort}?transport=tcp`,
});

const args = ['--allow-loopback'];

describeWith(['turnserver', 'openssl'], 'couplet doctor and coturn', () => {
  const folder = temporaryFolder();

  test('UDP, TCP and TLS pass, and no allocation remains in coturn', async () => {
    const { cert, key, ca } = makeCertificate(folder);
    const env = { TURN_TLS_CERT: cert, TURN_TLS_KEY: key, TURN_VERBOSE: '1' };
    const turn = await coturn({ args, env });
    const { stun, udp, tcp, tls } = urlsOf(turn);
    const url = await handingOut([udp, tcp, tls], [stun]);
    const { code, results, of } = await examine(url, { ca });
    expect(results.filter(({ status }) => status !== 'passed')).toMatchObject([{ id: 'push' }]);
    expect(code).toBe(0);
    const ids = (target: string) => results.filter((r) => r.target === target).map(({ id }) => id);
    const whole = ['stun-binding', 'allocation', 'relay-to-itself', 'relay-from-outside'];
    expect([stun, udp, tcp, tls].map(ids)).toEqual([['stun-binding'], whole, whole, whole]);
    expect(of('ice-servers')?.detail).toBe('4 URLs provided, 3 of them TURN');
    expect(of('stun-binding', stun)?.detail).toBe('sees this machine as 127.0.0.1');
    for (const target of [udp, tcp, tls]) {
      expect(of('allocation', target)?.detail).toMatch(/^relays from 127\.0\.0\.1:\d+$/);
    }
    // Ended by a refresh, not by its lifetime.
    await turn.logged('REFRESH processed, success');
  });

  test('servers of a provider are tested like those of coturn, with advice for a provider', async () => {
    const credential = 'the-password-of-the-provider';
    const firstRelayPort = await freePort(50);
    const turn = await coturn({
      args: ['static', ...args],
      env: {
        TURN_STATIC_USER: `provided:${credential}`,
        TURN_STATIC_PORT: String(await freePort()),
        TURN_STATIC_MIN_PORT: String(firstRelayPort),
        TURN_STATIC_MAX_PORT: String(firstRelayPort + 49),
      },
    });
    const { stun, udp, tcp } = urlsOf(turn);
    const answer = { urls: [stun, udp, tcp], username: 'provided', credential };
    const provider = createHttpServer((_, response) => response.end(JSON.stringify([answer])));
    await once(provider.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void provider.close());
    const { port } = provider.address() as AddressInfo;
    const serving = async () => {
      const { url, close } = await startServer({ ICE_SERVERS_URL: `http://127.0.0.1:${port}` });
      onTestFinished(close);
      await eventually(async () => {
        expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ready' });
      });
      return url;
    };
    const { code, results } = await examine(await serving());
    expect(results.filter(({ status }) => status !== 'passed')).toMatchObject([{ id: 'push' }]);
    expect({ code, checks: results.length }).toEqual({ code: 0, checks: 17 });

    answer.credential = 'the-password-of-last-month';
    const { failed, of } = await examine(await serving());
    expect(failed).toEqual([`allocation ${udp}`, `allocation ${tcp}`]);
    expect(of('allocation', udp)).toMatchObject(failure(/401/, /your account .* your own coturn/));
  });

  test('a different TURN_SECRET at coturn', async () => {
    const turn = await coturn({ args, env: { TURN_SECRET: 'the-secret-of-somebody-else' } });
    const { stun, udp } = urlsOf(turn);
    const { code, failed, of } = await examine(await handingOut([udp], [stun]));
    expect({ code, failed }).toEqual({ code: 1, failed: [`allocation ${udp}`] });
    expect(of('allocation', udp)).toMatchObject(failure(/401/, /the same TURN_SECRET/));
    expect(of('relay-to-itself', udp)).toMatchObject({
      status: 'not_applicable',
      detail: 'needs an allocation',
    });
  });

  test('a closed port, over UDP, TCP and TLS', async () => {
    const port = await freePort();
    const [udp, tcp] = [`turn:127.0.0.1:${port}`, `turn:127.0.0.1:${port}?transport=tcp`];
    const tls = `turns:localhost:${port}?transport=tcp`;
    const { failed, of } = await examine(await handingOut([udp, tcp, tls]));
    expect(failed).toEqual([udp, tcp, tls].map((url) => `stun-binding ${url}`));
    for (const url of [udp, tcp]) {
      expect(of('stun-binding', url)).toMatchObject(
        failure(/nothing listens on/, /coturn does not run/),
      );
    }
    expect(of('stun-binding', tls)).toMatchObject(failure(/nothing listens on/, /TURN_TLS_CERT/));
    expect(of('allocation', udp)).toMatchObject({ detail: 'needs an answer' });
  });

  test('a port that drops packets, over UDP, TCP and TLS', async () => {
    const hole = createSocket('udp4');
    hole.bind(0, '127.0.0.1');
    await once(hole, 'listening');
    onTestFinished(() => void hole.close());
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    onTestFinished(() => void silent.close());
    const udp = `turn:127.0.0.1:${hole.address().port}`;
    const { port } = silent.address() as AddressInfo;
    const [tcp, tls] = [`turn:127.0.0.1:${port}?transport=tcp`, `turns:127.0.0.1:${port}`];
    const { of } = await examine(await handingOut([udp, tcp, tls]), { limitMs: 1500 });
    for (const [url, protocol] of [
      [udp, 'udp'],
      [tcp, 'tcp'],
      [tls, 'tcp'],
    ] as const) {
      expect(of('stun-binding', url)).toMatchObject(
        failure(
          new RegExp(`^\\d+/${protocol} does not answer$`),
          /^Open \d+\/(udp|tcp) for all addresses/,
        ),
      );
    }
  });

  test('a wrong external IP', async () => {
    // coturn still reaches itself, because it translates the address back. The fault only shows from outside.
    const turn = await coturn({ args, env: { TURN_EXTERNAL_IP: '127.66.66.66/127.0.0.1' } });
    const { udp, tcp } = urlsOf(turn);
    const { failed, of } = await examine(await handingOut([udp, tcp]), { limitMs: 5000 });
    expect(failed).toEqual([`relay-from-outside ${udp}`, `relay-from-outside ${tcp}`]);
    expect(of('relay-to-itself', udp)).toMatchObject({ status: 'passed' });
    expect(of('relay-from-outside', udp)).toMatchObject(
      failure(/127\.66\.66\.66 does not lead to coturn/, /TURN_EXTERNAL_IP/),
    );
  });

  test('a private relayed address, as behind NAT without an external IP', async () => {
    const { udp } = urlsOf(await coturn());
    const { failed, of } = await examine(await handingOut([udp]));
    expect(failed).toEqual([`relay-to-itself ${udp}`]);
    expect(of('relay-to-itself', udp)).toMatchObject(
      failure(/its own address 127\.0\.0\.1 as a peer \(403\)/, /TURN_EXTERNAL_IP=public/),
    );
    expect(of('relay-from-outside', udp)).toMatchObject({
      status: 'not_applicable',
      detail: expect.stringContaining('from another network'),
    });
  });

  test.each([
    [
      'an expired certificate',
      { expired: true },
      (ca: string) =>
        `expired on ${new Date(new X509Certificate(ca).validTo).toISOString().slice(0, 10)}$`,
      /^Renew it/,
    ],
    [
      'a certificate for another name',
      { name: 'turn.example.org' },
      () => 'is not for localhost but for turn.example.org',
      /Get a certificate for localhost/,
    ],
  ])('%s of coturn', async (_title, kind, detail, advice) => {
    const { cert, key, ca } = makeCertificate(folder, kind);
    const turn = await coturn({ args, env: { TURN_TLS_CERT: cert, TURN_TLS_KEY: key } });
    const { udp, tls } = urlsOf(turn);
    const { failed, of } = await examine(await handingOut([udp, tls]), { ca });
    expect(failed).toEqual([`stun-binding ${tls}`]);
    expect(of('stun-binding', tls)).toMatchObject(failure(new RegExp(detail(ca)), advice));
  });
});
