// A fake Firebase: gives access tokens for signed assertions, and accepts messages with them.
import type { KeyObject } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.js';
import {
  type Answer,
  httpPeer,
  mustBe,
  mustBeNear,
  type Request,
  Script,
  verifiedJwt,
} from './script.js';

export interface FcmRequest {
  registration: string;
  roomId: string;
  accessToken: string;
}

/** The account has everything but the URLs of this peer. */
export async function startFcm(
  {
    publicKey,
    clientEmail,
    projectId,
  }: Record<'clientEmail' | 'projectId', string> & {
    publicKey: KeyObject;
  },
  clock: Clock,
) {
  const messages = new Script<FcmRequest>();
  const grants = new Script<string>();
  const accepted = new Set<string>();

  const server = await httpPeer((request) =>
    request.path === '/token' ? grant(request) : message(request),
  );

  function grant({ headers, body }: Request): Answer {
    const next = grants.take();
    if (next !== undefined) return next;
    mustBe('content-type', headers['content-type'], 'application/x-www-form-urlencoded');
    const form = new URLSearchParams(body.toString());
    mustBe('grant_type', form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
    const { claims } = verifiedJwt(form.get('assertion') ?? '', publicKey, 'RS256');
    mustBe('iss', claims.iss, clientEmail);
    mustBe('aud', claims.aud, `${server.origin}/token`);
    mustBe('scope', claims.scope, 'https://www.googleapis.com/auth/firebase.messaging');
    mustBe('exp', claims.exp, claims.iat + 3600);
    mustBeNear('iat', claims.iat, clock.now() / 1000);
    const token = `access-${accepted.size + 1}`;
    accepted.add(token);
    grants.received.push(token);
    return { status: 200, body: { access_token: token, expires_in: 3599, token_type: 'Bearer' } };
  }

  function message({ path, headers, body }: Request): Answer {
    const next = messages.take();
    const accessToken = String(headers.authorization).replace('Bearer ', '');
    if (!accepted.has(accessToken)) {
      return { status: 401, body: { error: { status: 'UNAUTHENTICATED' } } };
    }
    mustBe('path', path, `/v1/projects/${projectId}/messages:send`);
    const { token, notification, data, android } = JSON.parse(body.toString()).message;
    mustBe('notification', notification, { body: 'Your chat partner is waiting' });
    mustBe('data', data, { roomId: data.roomId, type: 'presence' });
    mustBe('android', android, { priority: 'high', ttl: '300s' });
    messages.received.push({ registration: token, roomId: data.roomId, accessToken });
    return next ?? { status: 200, body: { name: `projects/${projectId}/messages/1` } };
  }

  return {
    script: messages,
    grants,
    faults: server.faults,
    origin: server.origin,
    /** Makes an access token invalid before its end. */
    revoke: () => accepted.clear(),
    close: server.close,
  };
}
