// Sends notifications to browsers through Web Push (RFC 8030), encrypted (RFC 8291) and with VAPID (RFC 8292).
import { createCipheriv, createECDH, type ECDH, hkdfSync, randomBytes } from 'node:crypto';
import type { PushTarget } from '@couplet/protocol';
import type { VapidCredentials } from './credentials.js';
import { type Attempt, attemptOfStatus, REJECTED } from './delivery.js';
import {
  ALERT,
  LIFETIME_SECONDS,
  type Prepared,
  type ServiceDeps,
  signedJwt,
  TYPE,
} from './notification.js';

/** The push services of Chrome (and most other browsers), Edge, Firefox and Safari. */
const KNOWN_HOSTS = [
  'fcm.googleapis.com',
  '*.notify.windows.com',
  '*.push.services.mozilla.com',
  '*.push.apple.com',
];

/** At most a day (RFC 8292 §2). */
const TOKEN_SECONDS = 12 * 3600;

/** The name was not found, or the resolver did not answer. */
const UNRESOLVED = ['ENOTFOUND', 'EAI_AGAIN'];

/** Returns a host as URLs contain it: in lowercase, without the default port. */
const asInUrls = (host: string) => host.toLowerCase().replace(/:0*443$/, '');

/** A subscription of the Push API, with decoded keys. */
export interface Subscription {
  endpoint: URL;
  /** The public key of the browser: an uncompressed point of P-256. */
  p256dh: Buffer;
  auth: Buffer;
}

/** Parses the JSON of a subscription. Returns undefined if no browser can have made it. */
export function parseSubscription(token: string): Subscription | undefined {
  try {
    const { endpoint, keys } = JSON.parse(token);
    const [p256dh, auth] = [keys.p256dh, keys.auth].map((key) => Buffer.from(key, 'base64url'));
    if (p256dh?.length !== 65 || auth?.length !== 16) return undefined;
    return { endpoint: new URL(endpoint), p256dh, auth };
  } catch {
    // Not JSON, or a field is missing or has another type.
    return undefined;
  }
}

/** All allowed hosts; `*.` stands for all names below. */
export const hostsOf = ({ hosts }: Pick<VapidCredentials, 'hosts'>): readonly string[] => [
  ...KNOWN_HOSTS,
  ...hosts.map(asInUrls),
];

export function openWebPush(vapid: VapidCredentials, { clock, http }: ServiceDeps) {
  const { key, publicKey, subject } = vapid;
  const hosts = hostsOf(vapid);

  /** Whether an endpoint is at one of the hosts. A client chose it, so it must not lead to any other server. */
  const allows = ({ protocol, host, username, password }: URL): boolean => {
    if (protocol !== 'https:' || username !== '' || password !== '') return false;
    return hosts.some((allowed) =>
      allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed,
    );
  };

  const send = async (
    subscription: Subscription,
    roomId: string,
    signal: AbortSignal,
  ): Promise<Attempt> => {
    const { endpoint } = subscription;
    const body = encrypted(JSON.stringify({ type: TYPE, roomId, body: ALERT }), subscription);
    if (body === undefined) return { kind: 'dead' };
    const now = clock.now();
    const exp = Math.floor(now / 1000) + TOKEN_SECONDS;
    const jwt = signedJwt({ alg: 'ES256' }, { aud: endpoint.origin, exp, sub: subject }, key);
    const headers = {
      Authorization: `vapid t=${jwt}, k=${publicKey}`,
      'Content-Encoding': 'aes128gcm',
      'Content-Type': 'application/octet-stream',
      TTL: String(LIFETIME_SECONDS),
      Urgency: 'high',
    };
    const answer = await http.post(endpoint.href, headers, body, signal).catch((error) => {
      // With a pattern such as `*.example.org`, a client can name a host that does not exist.
      if (UNRESOLVED.includes(error.code)) return undefined;
      throw error;
    });
    if (answer === undefined) return { kind: 'failed', cause: 'unknown_host' };
    const { status } = answer;
    if (status === 404 || status === 410) return { kind: 'dead' };
    // 403 is no proof of wrong credentials: a client may have subscribed with another key.
    return attemptOfStatus(status, answer.headers['retry-after'], now) ?? REJECTED;
  };

  return {
    allows,
    prepare({ token }: PushTarget, roomId: string): Prepared {
      const subscription = parseSubscription(token);
      if (subscription === undefined) return { end: 'dead' };
      const { endpoint } = subscription;
      if (!allows(endpoint)) return { end: 'host_not_allowed' };
      return { host: endpoint.host, send: (signal) => send(subscription, roomId, signal) };
    },
  };
}

/** Bytes of a record; a notification has only one (RFC 8188 §2.1). */
const RECORD_BYTES = 4096;

/**
 * Encrypts a text for a subscription (RFC 8291 §3.4). Returns undefined if its public key is not on the curve.
 *
 * @param salt - random bytes, other than in tests
 * @param sender - a new key pair, other than in tests
 */
export function encrypted(
  text: string,
  { p256dh, auth }: Subscription,
  salt = randomBytes(16),
  sender?: ECDH,
): Buffer | undefined {
  const ecdh = sender ?? createECDH('prime256v1');
  if (sender === undefined) ecdh.generateKeys();
  const own = ecdh.getPublicKey();
  let secret: Buffer;
  try {
    secret = ecdh.computeSecret(p256dh);
  } catch {
    return undefined;
  }
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), p256dh, own]);
  const input = new Uint8Array(hkdfSync('sha256', secret, auth, info, 32));
  const derive = (use: string, bytes: number) =>
    new Uint8Array(hkdfSync('sha256', input, salt, `Content-Encoding: ${use}\0`, bytes));
  const cipher = createCipheriv('aes-128-gcm', derive('aes128gcm', 16), derive('nonce', 12));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(RECORD_BYTES);
  head.writeUInt8(own.length, 4);
  // The byte 2 ends the last record (RFC 8188 §2).
  const content = [cipher.update(text, 'utf8'), cipher.update(Buffer.of(2)), cipher.final()];
  return Buffer.concat([salt, head, own, ...content, cipher.getAuthTag()]);
}
