// Defines what all push services share: the content of a notification, how one is sent, and signed tokens.
import { type KeyObject, sign } from 'node:crypto';
import type { PushTarget } from '@couplet/protocol';
import type { Clock } from '../base/clock.js';
import type { HttpClient } from '../http/outgoing.js';
import type { Attempt, End } from './delivery.js';

/** What the user reads. */
export const ALERT = 'Your chat partner is waiting';

/** Apps recognize the notification by this type. */
export const TYPE = 'presence';

/** How long a push service keeps trying to reach a device, in seconds. Later, the waiting peer has probably given up. */
export const LIFETIME_SECONDS = 300;

export interface ServiceDeps {
  clock: Clock;
  http: HttpClient;
  /** Certificates to trust instead of those of Node.js. */
  ca: string | undefined;
}

/** A request for one notification, which may be sent several times; or why none can be made for this token. */
export type Prepared =
  | {
      send: (signal: AbortSignal) => Promise<Attempt>;
      /** The host that gets it, if a client chose it. */
      host?: string;
    }
  | { end: End & ('dead' | 'host_not_allowed') };

/** A push service, or a program of the operator. */
export interface PushService {
  prepare(target: PushTarget, roomId: string): Prepared;
  close?(): void;
}

/** Signs a JSON Web Token (RFC 7519) with ES256 or RS256 (RFC 7518 §3.3, §3.4). */
export function signedJwt(
  header: { alg: 'ES256' | 'RS256'; kid?: string },
  claims: Readonly<Record<string, string | number>>,
  key: KeyObject,
): string {
  const content = `${base64url({ typ: 'JWT', ...header })}.${base64url(claims)}`;
  // The encoding applies to ES256 only. Without it, the signature would be DER, which no verifier of tokens accepts.
  const signature = sign('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' });
  return `${content}.${signature.toString('base64url')}`;
}

const base64url = (value: object): string =>
  Buffer.from(JSON.stringify(value)).toString('base64url');
