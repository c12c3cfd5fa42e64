// Creates the engine of a cluster, whose nodes share pairings and rooms in Redis.
import { randomBytes } from 'node:crypto';
import { Unavailable } from './base/failures.js';
import { type Engine, type EngineDeps, storeLimits } from './engine.js';
import { addressDigests } from './limits/address-digests.js';
import { type Metrics, zeros } from './observability/metrics.js';
import { guessLimits } from './pairing/guesses.js';
import { openRedisStore } from './pairing/redis/store.js';
import { connectRedis, REDIS_OPERATIONS, REFUSALS, type Redis } from './redis/client.js';
import { watchRedisClock } from './redis/clock.js';
import { openNodeChannel } from './redis/node-channel.js';
import { watchRefusals } from './redis/refusals.js';
import { ConfigError } from './settings/config.js';
import { parseRedisUrl } from './settings/redis.js';
import type { ClusterBackplane } from './signaling/cluster/backplane.js';
import { clusterMetrics } from './signaling/cluster/metrics.js';
import { createRedisBackplane } from './signaling/cluster/redis-backplane.js';

/** How long a start waits for Redis, in milliseconds. Then the server starts without Redis and is not ready. */
const START_WAIT_MS = 2000;

/** Returns a random id, which no other node has and no earlier start of this node had. */
const newNodeId = () => randomBytes(9).toString('base64url');

export async function clusterEngine(deps: EngineDeps): Promise<Engine> {
  const { config, clock, metrics, log } = deps;
  const parsed = parseRedisUrl(config.redisUrl);
  if ('fault' in parsed) throw new ConfigError([`REDIS_URL: the value given ${parsed.fault}`]);
  const prefix = config.redisPrefix;
  let isMissed = false;
  const redis = connectRedis(parsed.target, {
    timeoutMs: config.redisTimeoutMs,
    replicasAck: config.redisReplicasAck,
    observe: metrics.timer(
      'couplet_redis_duration_seconds',
      'Time that Redis takes to answer, in seconds, including the wait for replicas.',
      'operation',
      REDIS_OPERATIONS,
    ),
    onDown(cause) {
      // Logged once, not for each attempt.
      if (!isMissed) log.warn({ err: cause }, 'Redis cannot be reached');
      isMissed = true;
    },
    onRefused: (cause) => refusals.noticed(cause),
  });
  const refusals = watchRefusals(redis, clock, log);
  measureRedis(metrics, redis);
  redis.onUp(() => {
    if (isMissed && redis.isUp()) log.info('Redis can be reached');
    if (redis.isUp()) isMissed = false;
  });
  const channel = openNodeChannel(redis, prefix, newNodeId());
  const shared = {
    prefix,
    channel,
    limits: storeLimits(config),
    budgets: guessLimits(config),
    digestOf: addressDigests(redis, prefix),
  };
  const store = deps.store ?? openRedisStore(redis, shared);
  const redisClock = watchRedisClock(redis, `${prefix}{leases}`, clock, log);
  metrics.level(
    'couplet_clock_difference_seconds',
    'Seconds by which the clock of this node is ahead of the clock of Redis; negative if it is behind. Measured every minute.',
    redisClock.aheadSeconds,
  );
  metrics.levels(
    'couplet_redis_refuses',
    '1 while a connected Redis server refuses operations for this cause. memory: Redis is full and refuses operations that need memory. disk, read_only, replicas, loading: it refuses all writes.',
    'cause',
    REFUSALS,
    () => {
      const levels = zeros(REFUSALS);
      for (const cause of REFUSALS) if (refusals.has(cause)) levels[cause] = 1;
      return levels;
    },
  );
  let backplane: ClusterBackplane | undefined;
  await redis.ready(START_WAIT_MS);
  return {
    store,
    createBackplane(connections) {
      const leaseMs = config.leaseSeconds * 1000;
      const parts = { clock, log, leaseMs };
      backplane = createRedisBackplane(connections, redis, prefix, channel, parts);
      clusterMetrics(metrics, backplane.lease, backplane.counters);
      return backplane;
    },
    checks: [
      {
        name: 'redis',
        async check() {
          if (!redis.isUp() || !channel.isSubscribed())
            throw new Unavailable(new Error('Redis is not connected'));
          await refusals.check();
        },
      },
      { name: 'lease', check: async () => backplane?.check() },
    ],
    notes: [redisClock.note, refusals.note],
    onMissed: (listener) => channel.onSubscribed(listener),
    async close() {
      redisClock.close();
      refusals.close();
      await store.close();
      channel.close();
      redis.close();
    },
  };
}

function measureRedis(metrics: Metrics, redis: Redis): void {
  metrics.level(
    'couplet_redis_up',
    '1 while every Redis server that holds data is connected, otherwise 0.',
    () => (redis.isUp() ? 1 : 0),
  );
  metrics.count(
    'couplet_redis_reconnects_total',
    'Connections to Redis that were lost and established again.',
    redis.reconnects,
  );
  metrics.count(
    'couplet_redis_operations_total',
    'Commands, scripts and publications sent to Redis.',
    redis.operations,
  );
}
