// A fake APNs: HTTP/2 over TLS. Checks the token, the headers and the payload as Apple documents them.
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Clock } from '../../../src/base/clock.js';
import { certificate, mustBe, mustBeNear, pemOf, Script, verifiedJwt } from './script.js';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ACCOUNT = {
  APNS_KEY_ID: 'ABCDE12345',
  APNS_TEAM_ID: 'TEAM012345',
  APNS_TOPIC: 'org.example.app',
};

/** The settings of a server that uses an APNs at this origin. */
export const apnsSettings = (origin: string) => ({
  ...ACCOUNT,
  // As platforms write it whose variables have one line.
  APNS_KEY: pemOf(privateKey).replaceAll('\n', '\\n'),
  APNS_SERVER: origin,
});

export async function startApns(clock: Clock) {
  const script = new Script<{ deviceToken: string; jwt: string; roomId: string }>();
  const faults: string[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server = createSecureServer(certificate);
  let connections = 0;
  /** Whether the next stream is refused with GOAWAY, as when Apple restarts a server. */
  let refusesNext = false;

  server.on('session', (session) => {
    connections += 1;
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', async (stream, headers) => {
    stream.on('error', () => {});
    if (refusesNext) {
      refusesNext = false;
      stream.session?.goaway(0, (stream.id ?? 1) - 2);
      return;
    }
    let body = '';
    for await (const chunk of stream.setEncoding('utf8')) body += chunk;
    try {
      check(headers, body);
    } catch (fault) {
      faults.push(String(fault));
      return answer(stream, 403, { reason: 'InvalidProviderToken' });
    }
    const next = script.take() ?? { status: 200 };
    if (next === 'hang') return;
    if (next === 'cut') return void stream.session?.destroy();
    answer(stream, next.status, next.body, next.headers);
  });

  function check(headers: Record<string, unknown>, body: string): void {
    const now = clock.now() / 1000;
    const jwt = /^bearer (.+)$/.exec(String(headers.authorization))?.[1] ?? '';
    const { header, claims } = verifiedJwt(jwt, publicKey, 'ES256');
    mustBe('kid', header.kid, ACCOUNT.APNS_KEY_ID);
    mustBe('iss', claims.iss, ACCOUNT.APNS_TEAM_ID);
    if (!(Math.abs(now - claims.iat) < 3600)) throw 'the token is older than an hour';
    mustBe(':method', headers[':method'], 'POST');
    mustBe('apns-topic', headers['apns-topic'], ACCOUNT.APNS_TOPIC);
    mustBe('apns-push-type', headers['apns-push-type'], 'alert');
    mustBe('apns-priority', headers['apns-priority'], '10');
    mustBeNear('apns-expiration', Number(headers['apns-expiration']), now + 300);
    const deviceToken = /^\/3\/device\/([0-9a-f]{64})$/.exec(String(headers[':path']))?.[1];
    if (deviceToken === undefined) throw `:path is ${headers[':path']}`;
    const { aps, roomId, type } = JSON.parse(body);
    const alert = 'Your chat partner is waiting';
    mustBe('aps', aps, { alert, sound: 'default', 'mutable-content': 1 });
    mustBe('type', type, 'presence');
    script.received.push({ deviceToken, jwt, roomId });
  }

  await once(server.listen(0, '127.0.0.1'), 'listening');
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`;
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return {
    ...{ script, faults, origin, settings: apnsSettings(origin), connections: () => connections },
    target: { platform: 'ios', token: 'ab'.repeat(32) } as const,
    refuseNext() {
      refusesNext = true;
    },
    /** Ends all connections in order, as Apple does before maintenance; resolves when they are closed. */
    async goAway() {
      const all = [...sessions];
      for (const session of all) session.close();
      await Promise.all(all.map((session) => once(session, 'close')));
    },
  };
}

function answer(
  stream: ServerHttp2Stream,
  status: number,
  body?: unknown,
  headers: Record<string, string> = {},
): void {
  stream.respond({ ':status': status, ...headers });
  stream.end(body === undefined ? '' : JSON.stringify(body));
}
