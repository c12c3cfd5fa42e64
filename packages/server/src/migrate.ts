// Implements `couplet migrate`: copies the database file, or the keys of an older version, into Redis and reports counts.

import { Unavailable } from './base/failures.js';
import { importToRedis } from './pairing/redis/import-from-sqlite.js';
import { copyOldLayout } from './pairing/redis/migrate-layout.js';
import { connectRedis } from './redis/client.js';
import type { Config } from './settings/config.js';
import { parseRedisUrl } from './settings/redis.js';
import { UsageError } from './start-faults.js';

/** How long to wait for Redis, in milliseconds. */
const CONNECT_WAIT_MS = 10_000;

export interface MigrateOptions {
  /** Copies the keys of an older version in Redis, not the database file. */
  isOldLayout: boolean;
  /** Deletes the old keys after the copy. */
  isFinal: boolean;
}

/** Resolves to the lines for the terminal. */
export async function migrateToRedis(
  config: Config,
  { isOldLayout, isFinal }: MigrateOptions,
): Promise<string> {
  if (isFinal && !isOldLayout) throw new UsageError('migrate: --finish needs --redis-layout');
  const parsed = parseRedisUrl(config.redisUrl);
  if ('fault' in parsed) throw new UsageError('migrate: REDIS_URL must be set to the target');
  const redis = connectRedis(parsed.target, {
    timeoutMs: config.redisTimeoutMs,
    replicasAck: config.redisReplicasAck,
  });
  try {
    if (!(await redis.ready(CONNECT_WAIT_MS)))
      throw new UsageError('migrate: Redis cannot be reached');
    if (isOldLayout) {
      const counts = await copyOldLayout(redis, config.redisPrefix, isFinal);
      const lines = Object.entries(counts).map(
        ([kind, copied]) => `${nameOf(kind)}: ${copied} copied\n`,
      );
      return lines.join('') + (isFinal ? 'keys of the old layout: deleted\n' : '');
    }
    const counts = await importToRedis(config.sqliteDbPath, redis, config.redisPrefix, Date.now());
    return Object.entries(counts)
      .map(([kind, { copied, present }]) => {
        return `${nameOf(kind)}: ${copied} copied, ${present} already in Redis\n`;
      })
      .join('');
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    throw new UsageError(
      'migrate: the connection to Redis was lost; run the command again to continue',
    );
  } finally {
    redis.close();
  }
}

const nameOf = (kind: string): string => (kind === 'records' ? 'idempotency records' : kind);
