// A fake push service with one browser: checks VAPID (RFC 8292), and decrypts messages as a browser does (RFC 8291).
import { createDecipheriv, createECDH, createPublicKey, hkdfSync, randomBytes } from 'node:crypto';
import type { Clock } from '../../../src/base/clock.js';
import { httpPeer, mustBe, Script, verifiedJwt } from './script.js';

export interface WebPushRequest {
  roomId: string;
  path: string;
}

/** The keys of a subscription, as a browser keeps them. */
export interface BrowserKeys {
  privateKey: Buffer;
  publicKey: Buffer;
  auth: Buffer;
}

export function newBrowserKeys(): BrowserKeys {
  const ecdh = createECDH('prime256v1');
  const publicKey = ecdh.generateKeys();
  return { publicKey, privateKey: ecdh.getPrivateKey(), auth: randomBytes(16) };
}

/** Decrypts a message of one record (RFC 8188 §2, RFC 8291 §3). */
export function decrypted(message: Buffer, { privateKey, publicKey, auth }: BrowserKeys): string {
  const salt = message.subarray(0, 16);
  const keyLength = message.readUInt8(20);
  const sender = message.subarray(21, 21 + keyLength);
  const record = message.subarray(21 + keyLength);
  if (message.readUInt32BE(16) < record.length) throw 'there is more than one record';
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(privateKey);
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), publicKey, sender]);
  const input = Buffer.from(hkdfSync('sha256', ecdh.computeSecret(sender), auth, info, 32));
  const derive = (name: string, bytes: number) =>
    Buffer.from(hkdfSync('sha256', input, salt, `Content-Encoding: ${name}\0`, bytes));
  const cipher = createDecipheriv('aes-128-gcm', derive('aes128gcm', 16), derive('nonce', 12));
  cipher.setAuthTag(record.subarray(-16));
  const padded = Buffer.concat([cipher.update(record.subarray(0, -16)), cipher.final()]);
  const end = padded.lastIndexOf(2);
  if (end < 0) throw 'the last record has no delimiter';
  return padded.toString('utf8', 0, end);
}

export async function startWebPush(
  tls: { key: string; cert: string },
  subject: string,
  clock: Clock,
) {
  const script = new Script<WebPushRequest>();
  const browser = newBrowserKeys();
  const peer = await httpPeer(({ method, path, headers, body }) => {
    const answer = script.take() ?? { status: 201 };
    mustBe('method', method, 'POST');
    const { ttl, urgency } = headers;
    mustBe('headers', [ttl, urgency, headers['content-encoding']], ['300', 'high', 'aes128gcm']);
    const [, jwt = '', key = ''] =
      /^vapid t=([^,]+), k=(.+)$/.exec(headers.authorization ?? '') ?? [];
    const { claims } = verifiedJwt(jwt, publicKeyOf(key), 'ES256');
    mustBe('aud', claims.aud, `https://${headers.host}`);
    mustBe('sub', claims.sub, subject);
    const seconds = claims.exp - clock.now() / 1000;
    if (!(seconds > 0 && seconds <= 86_400)) throw 'exp is not within a day';
    const { type, roomId, body: text } = JSON.parse(decrypted(body, browser));
    mustBe('message', [type, text], ['presence', 'Your chat partner is waiting']);
    script.received.push({ roomId, path });
    return answer;
  }, tls);
  return {
    script,
    ...peer,
    /** A new subscription of the browser, as JSON. */
    subscription(endpoint = `${peer.origin}/push/1`): string {
      const [p256dh, auth] = [browser.publicKey, browser.auth].map((key) =>
        key.toString('base64url'),
      );
      return JSON.stringify({ endpoint, expirationTime: null, keys: { p256dh, auth } });
    },
  };
}

function publicKeyOf(point: string) {
  const bytes = Buffer.from(point, 'base64url');
  const [x, y] = [bytes.subarray(1, 33), bytes.subarray(33)].map((half) =>
    half.toString('base64url'),
  );
  const key = { kty: 'EC', crv: 'P-256', x: x as string, y: y as string };
  return createPublicKey({ key, format: 'jwk' });
}
