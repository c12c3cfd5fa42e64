// A fake push service with one browser: checks VAPID (RFC 8292), and decrypts messages as a browser does (RFC 8291).
import {
  createDecipheriv,
  createECDH,
  createPublicKey,
  type ECDH,
  hkdfSync,
  randomBytes,
} from 'node:crypto';
import type { Clock } from '../../../src/base/clock.js';
import { httpPeer, mustBe, Script, verifiedJwt } from './script.js';

const SUBJECT = 'mailto:admin@example.org';

/** Decrypts a message of one record (RFC 8188 §2, RFC 8291 §3) for the browser with these keys. */
export function decrypted(message: Buffer, browser: ECDH, auth: Buffer): string {
  const salt = message.subarray(0, 16);
  const keyLength = message.readUInt8(20);
  const sender = message.subarray(21, 21 + keyLength);
  const record = message.subarray(21 + keyLength);
  if (message.readUInt32BE(16) < record.length) throw 'there is more than one record';
  const info = Buffer.concat([Buffer.from('WebPush: info\0'), browser.getPublicKey(), sender]);
  const input = Buffer.from(hkdfSync('sha256', browser.computeSecret(sender), auth, info, 32));
  const derive = (name: string, bytes: number) =>
    Buffer.from(hkdfSync('sha256', input, salt, `Content-Encoding: ${name}\0`, bytes));
  const cipher = createDecipheriv('aes-128-gcm', derive('aes128gcm', 16), derive('nonce', 12));
  cipher.setAuthTag(record.subarray(-16));
  const padded = Buffer.concat([cipher.update(record.subarray(0, -16)), cipher.final()]);
  const end = padded.lastIndexOf(2);
  if (end < 0) throw 'the last record has no delimiter';
  return padded.toString('utf8', 0, end);
}

export async function startWebPush(clock: Clock) {
  const script = new Script<{ roomId: string; path: string }>();
  const browser = createECDH('prime256v1');
  browser.generateKeys();
  const auth = randomBytes(16);
  const peer = await httpPeer(({ method, path, headers, body }) => {
    const answer = script.take() ?? { status: 201 };
    mustBe('method', method, 'POST');
    const { ttl, urgency } = headers;
    mustBe('headers', [ttl, urgency, headers['content-encoding']], ['300', 'high', 'aes128gcm']);
    const [, jwt = '', key = ''] =
      /^vapid t=([^,]+), k=(.+)$/.exec(headers.authorization ?? '') ?? [];
    const { claims } = verifiedJwt(jwt, publicKeyOf(key), 'ES256');
    mustBe('aud', claims.aud, `https://${headers.host}`);
    mustBe('sub', claims.sub, SUBJECT);
    const seconds = claims.exp - clock.now() / 1000;
    if (!(seconds > 0 && seconds <= 86_400)) throw 'exp is not within a day';
    const { type, roomId, body: text } = JSON.parse(decrypted(body, browser, auth));
    mustBe('message', [type, text], ['presence', 'Your chat partner is waiting']);
    script.received.push({ roomId, path });
    return answer;
  }, true);
  /** A new subscription of the browser. */
  const subscription = (endpoint = `${peer.origin}/push/1`) => ({
    endpoint,
    expirationTime: null,
    keys: { p256dh: browser.getPublicKey('base64url'), auth: auth.toString('base64url') },
  });
  return {
    ...{ script, ...peer, subscription },
    settings: {
      VAPID_PRIVATE_KEY: randomBytes(32).toString('base64url'),
      VAPID_SUBJECT: SUBJECT,
      WEB_PUSH_HOSTS: new URL(peer.origin).host,
    },
    target: { platform: 'web', token: JSON.stringify(subscription()) } as const,
  };
}

function publicKeyOf(point: string) {
  const bytes = Buffer.from(point, 'base64url');
  const [x = '', y = ''] = [bytes.subarray(1, 33), bytes.subarray(33)].map((half) =>
    half.toString('base64url'),
  );
  return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
}
