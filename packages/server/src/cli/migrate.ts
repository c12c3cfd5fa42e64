// Implements `couplet migrate`: copies the database file, or the keys of an older version, into Redis and reports counts.
import { Unavailable } from '../base/failures.js';
import { IMPORT_KINDS, importToRedis } from '../pairing/redis/import-from-sqlite.js';
import { copyOldLayout } from '../pairing/redis/migrate-layout.js';
import { connectRedis } from '../redis/client.js';
import type { Config } from '../settings/config.js';
import { parseRedisUrl } from '../settings/redis.js';
import { UsageError } from './start-faults.js';

/** How long to wait for Redis, in milliseconds. */
const CONNECT_WAIT_MS = 10_000;

const NAMES = { room: 'rooms', pending: 'pendings', record: 'idempotency records' };

/**
 * Resolves to the lines for the terminal.
 *
 * @param isOldLayout - whether to copy the keys of an older version in Redis, not the database file
 * @param isFinal - whether to delete the old keys after the copy
 */
export async function migrateToRedis(
  config: Config,
  isOldLayout: boolean,
  isFinal: boolean,
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
    const prefix = config.redisPrefix;
    const counts = isOldLayout
      ? await copyOldLayout(redis, prefix, isFinal)
      : await importToRedis(config.sqliteDbPath, redis, prefix, Date.now());
    const lines = IMPORT_KINDS.map((kind) => {
      const { copied, present } = counts[kind];
      return `${NAMES[kind]}: ${copied} copied, ${present} copied before or already in Redis\n`;
    });
    return lines.join('') + (isFinal ? 'keys of the old layout: deleted\n' : '');
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    throw new UsageError(
      'migrate: the connection to Redis was lost; run the command again to continue',
    );
  } finally {
    redis.close();
  }
}
