// Makes random texts. The random bytes of many texts come from one call to the system's generator, which costs far more than a text.
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
  // A dump of the memory must not contain secrets of the past.
  pool.fill(0, used, end);
  used = end;
  return text;
}
