// A fake Firebase: gives access tokens for signed assertions, and accepts messages with them.
import { generateKeyPairSync } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.js';
import {
  type Answer,
  httpPeer,
  mustBe,
  mustBeNear,
  pemOf,
  type Request,
  Script,
  verifiedJwt,
} from './script.js';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const EMAIL = 'push@example.iam.gserviceaccount.com';
const PROJECT = 'example-1';

export async function startFcm(clock: Clock) {
  const script = new Script<{ registration: string; roomId: string }>();
  const grants = new Script<string>();
  const accepted = new Set<string>();

  const { origin, faults, close } = await httpPeer((request) =>
    request.path === '/token' ? grant(request) : message(request),
  );

  function grant({ headers, body }: Request): Answer {
    const next = grants.take();
    if (next !== undefined) return next;
    mustBe('content-type', headers['content-type'], 'application/x-www-form-urlencoded');
    const form = new URLSearchParams(body.toString());
    mustBe('grant_type', form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
    const { claims } = verifiedJwt(form.get('assertion') ?? '', publicKey, 'RS256');
    mustBe('iss', claims.iss, EMAIL);
    mustBe('aud', claims.aud, `${origin}/token`);
    mustBe('scope', claims.scope, 'https://www.googleapis.com/auth/firebase.messaging');
    mustBe('exp', claims.exp, claims.iat + 3600);
    mustBeNear('iat', claims.iat, clock.now() / 1000);
    const token = `access-${accepted.size + 1}`;
    accepted.add(token);
    grants.received.push(token);
    return { status: 200, body: { access_token: token, expires_in: 3599, token_type: 'Bearer' } };
  }

  function message({ path, headers, body }: Request): Answer {
    const next = script.take();
    if (!accepted.has(String(headers.authorization).replace('Bearer ', ''))) {
      return { status: 401, body: { error: { status: 'UNAUTHENTICATED' } } };
    }
    mustBe('path', path, `/v1/projects/${PROJECT}/messages:send`);
    const { token, notification, data, android } = JSON.parse(body.toString()).message;
    mustBe('notification', notification, { body: 'Your chat partner is waiting' });
    mustBe('data', data, { roomId: data.roomId, type: 'presence' });
    mustBe('android', android, { priority: 'high', ttl: '300s' });
    script.received.push({ registration: token, roomId: data.roomId });
    return next ?? { status: 200, body: { name: `projects/${PROJECT}/messages/1` } };
  }

  const account = {
    type: 'service_account',
    project_id: PROJECT,
    private_key: pemOf(privateKey),
    client_email: EMAIL,
    token_uri: `${origin}/token`,
  };
  return {
    ...{ script, grants, faults, close },
    settings: { FCM_SERVICE_ACCOUNT: JSON.stringify(account), FCM_URL: origin },
    target: { platform: 'android', token: 'registration:token' } as const,
    /** Makes an access token invalid before its end. */
    revoke: () => accepted.clear(),
  };
}
