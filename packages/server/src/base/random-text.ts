// Creates random texts. One call to the system's generator supplies the bytes of many texts, because a call costs far more than
// a text.
import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafeSlow(4096);
let used = pool.length;

/** Returns random bytes as text. */
export function randomText(bytes: number, encoding: 'hex' | 'base64url'): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const end = used + bytes;
  const text = pool.toString(encoding, used, end);
  // A memory dump must not contain earlier secrets.
  pool.fill(0, used, end);
  used = end;
  return text;
}
