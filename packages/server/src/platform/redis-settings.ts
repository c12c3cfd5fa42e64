// Settings of the cluster mode: where Redis is, and how it is used.
import { Type } from '@couplet/protocol/typebox';
import { type CrossCheck, crossCheckOf } from './cross-check.js';
import { parseRedisUrl } from './redis-url.js';

/** Spread into the schema of the configuration; docs/operations.md shows them. */
export const REDIS_SETTINGS = {
  redisUrl: Type.String({
    env: 'REDIS_URL',
    default: '',
    secret: true,
    description:
      'Redis 7 or Valkey for many nodes that are one server: `redis://user:password@host:6379/0`, `rediss://` for TLS. `redis://a:6379,b:6379?cluster` for a Redis Cluster, `redis://a:26379,b:26379?sentinel=mymaster` for Sentinels (`&sentinelUser=…&sentinelPassword=…` where they want that). Turns the rooms API on; SQLite is then not used. Empty: one node, without Redis.',
  }),
  redisPrefix: Type.String({
    env: 'REDIS_PREFIX',
    default: 'couplet:',
    pattern: '^[A-Za-z0-9:._-]{1,64}$',
    description: 'What every key and channel in Redis begins with; the same for all nodes.',
  }),
  redisTimeoutMs: Type.Integer({
    env: 'REDIS_TIMEOUT_MS',
    default: 2000,
    minimum: 100,
    maximum: 60_000,
    description:
      'Longest time that Redis may take for an answer, in milliseconds; the connection is then given up, and what waits for it is answered 503.',
  }),
  redisReplicasAck: Type.Integer({
    env: 'REDIS_REPLICAS_ACK',
    default: 0,
    minimum: 0,
    maximum: 10,
    description:
      'Replicas that must have a write before it is answered. With 1, and one replica, a failover loses nothing that was answered; without replicas, writes are then answered 503.',
  }),
  leaseSeconds: Type.Integer({
    env: 'LEASE_SECONDS',
    default: 10,
    minimum: 1,
    maximum: 300,
    description:
      'How long a node that is silent still counts as alive, in seconds; then its members are gone, and their peers are told. A node that was paused for longer claims its seats anew.',
  }),
};

/** Reads REDIS_URL, which is a secret and never quoted. */
export const REDIS_CHECKS: readonly CrossCheck[] = [
  crossCheckOf<{ redisUrl: string }>()(['redisUrl'], ({ redisUrl }) => {
    const parsed = redisUrl === '' ? {} : parseRedisUrl(redisUrl);
    return 'fault' in parsed ? `REDIS_URL: the value given ${parsed.fault}` : undefined;
  }),
];
