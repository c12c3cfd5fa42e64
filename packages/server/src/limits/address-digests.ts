// Makes keyed digests of addresses, which all nodes use in place of addresses in Redis keys.
import { createHmac, randomBytes } from 'node:crypto';
import { defineScript, type Redis } from '../redis/client.js';

const SHARE_SECRET = defineScript(
  `
-- KEYS 1 the secret
-- ARGV 1 the value to set if there is none, 2 its lifetime in milliseconds
if not redis.call('GET', KEYS[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return { redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]) }`,
  ['allow-oom'],
);

/** After this time, a digest cannot be linked to its address any more. */
const SECRET_LIFE_MS = 24 * 3600 * 1000;

/**
 * Returns a function that makes digests. It reads the secret again when the secret expires, and after each reconnection,
 * because Redis may have lost it.
 */
export function addressDigests(redis: Redis, prefix: string): (address: string) => Promise<string> {
  const key = `${prefix}{k}secret`;
  let known: { secret: Promise<string>; until: number } | undefined;
  redis.onUp(() => {
    known = undefined;
  });
  const ask = () => {
    const fresh = randomBytes(16).toString('base64url');
    const reply = redis.run(SHARE_SECRET, [key], [fresh, String(SECRET_LIFE_MS)]);
    const asked = {
      until: Number.POSITIVE_INFINITY,
      secret: reply.then((values) => {
        const [secret, leftMs] = values as [string, number];
        asked.until = performance.now() + leftMs;
        return secret;
      }),
    };
    asked.secret.catch(() => {
      if (known === asked) known = undefined;
    });
    return asked;
  };
  return async (address) => {
    if (known === undefined || performance.now() > known.until) known = ask();
    const digest = createHmac('sha256', await known.secret).update(address);
    return digest.digest('base64url').slice(0, 22);
  };
}
