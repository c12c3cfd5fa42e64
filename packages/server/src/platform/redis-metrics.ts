// What a node shows of Redis: whether it is there, how long it takes, how often it had to be connected again.
import type { Metrics } from './metrics.js';
import type { Redis, RedisOperation } from './redis.js';

const OPERATIONS: readonly RedisOperation[] = ['command', 'script', 'publish'];

export interface MeasuredRedis {
  observe(operation: RedisOperation, seconds: number): void;
  /** From which the levels are read. */
  read(redis: Redis): void;
}

export function measureRedis(metrics: Metrics): MeasuredRedis {
  let redis: Redis | undefined;
  const observe = metrics.timer(
    'couplet_redis_duration_seconds',
    'Time that Redis takes to answer, waiting for replicas included.',
    'operation',
    OPERATIONS,
  );
  metrics.level(
    'couplet_redis_up',
    '1 while every server of Redis that holds data is connected.',
    () => (redis?.isUp ? 1 : 0),
  );
  metrics.count(
    'couplet_redis_reconnects_total',
    'Connections to Redis that were lost and made again.',
    () => redis?.reconnects ?? 0,
  );
  metrics.count(
    'couplet_redis_operations_total',
    'Commands, scripts and publications sent to Redis.',
    () => [...(redis?.counts.values() ?? [])].reduce((sum, count) => sum + count, 0),
  );
  return {
    observe,
    read(connected) {
      redis = connected;
    },
  };
}
