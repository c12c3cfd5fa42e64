// Opens connections to the Redis of a test, and closes them when it ends.
import { onTestFinished } from 'vitest';
import { connectRedis, type Redis, type RedisOptions } from '../../src/redis/client.js';
import { parseRedisUrl, type RedisTarget } from '../../src/settings/redis.js';

export function targetOf(url: string): RedisTarget {
  const parsed = parseRedisUrl(url);
  if ('fault' in parsed) throw new Error(`REDIS_URL ${parsed.fault}`);
  return parsed.target;
}

/** Connects, and waits until Redis is ready. By default, a slow machine causes no timeout. The caller closes it. */
export async function connectTo(url: string, options: Partial<RedisOptions> = {}): Promise<Redis> {
  const redis = connectRedis(targetOf(url), { timeoutMs: 60_000, replicasAck: 0, ...options });
  if (await redis.ready(60_000)) return redis;
  redis.close();
  throw new Error('Redis is not there');
}

/** The same, closed when the test ends. */
export async function openRedis(url: string, options: Partial<RedisOptions> = {}): Promise<Redis> {
  const redis = await connectTo(url, options);
  onTestFinished(() => redis.close());
  return redis;
}

let prefixes = 0;

/** A prefix that no other test of this file uses. */
export const newPrefix = (): string => `test${++prefixes}:`;
