// couplet migrate: the database file goes into Redis, and the terminal learns how much of it.
import { importToRedis } from './pairing/redis-import.js';
import type { Config } from './platform/config.js';
import { Unavailable } from './platform/http-errors.js';
import { connectRedis } from './platform/redis.js';
import { parseRedisUrl } from './platform/redis-url.js';
import { UsageError } from './start-faults.js';

/** How long to wait for Redis, in milliseconds. */
const PATIENCE_MS = 10_000;

/** Resolves to lines for the terminal. */
export async function migrateToRedis(config: Config): Promise<string> {
  const parsed = parseRedisUrl(config.redisUrl);
  if ('fault' in parsed) throw new UsageError('migrate: REDIS_URL must say where to');
  const redis = connectRedis(parsed.target, {
    timeoutMs: config.redisTimeoutMs,
    replicasAck: config.redisReplicasAck,
  });
  try {
    if (!(await redis.ready(PATIENCE_MS))) throw new UsageError('migrate: Redis cannot be reached');
    const counts = await importToRedis(config.sqliteDbPath, redis, config.redisPrefix, Date.now());
    return Object.entries(counts)
      .map(([kind, { copied, present }]) => {
        const name = kind === 'records' ? 'idempotency records' : kind;
        return `${name}: ${copied} copied, ${present} in Redis already\n`;
      })
      .join('');
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    throw new UsageError('migrate: Redis went away; run it again, and it goes on from there');
  } finally {
    redis.close();
  }
}
