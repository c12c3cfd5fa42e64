// Stores room records and leases in Redis, for the cluster backplane. docs/cluster.md lists the keys.
import { createHash } from 'node:crypto';
import { Unavailable } from '../../base/failures.js';
import { defineScript, isFull, type Redis } from '../../redis/client.js';
import type { NodeChannel } from '../../redis/node-channel.js';
import type { LocalConnections } from '../backplane.js';
import { type ClusterBackplane, type ClusterParts, createClusterBackplane } from './backplane.js';
import { ROUND_MS } from './local-rooms.js';
import type { LeaseRegistry } from './node-lease.js';
import {
  absentRecord,
  decodeRecord,
  encodeRecord,
  type RoomRecord,
  type RoomRecordStore,
} from './room-record.js';

/** The message kind of signaling in the node channel. */
const KIND = 's';

/** Longest wait of a lease claim for the channel. */
const PATIENCE_MS = 2000;

/** Each round of the reconciler extends a record; several may be missed. */
const RECORD_TTL_MS = 12 * ROUND_MS;
/** An empty room keeps its version and its last connections for this time. */
const EMPTY_TTL_MS = 2 * 60_000;

const setLua = `
-- KEYS: record. ARGV: expected version, 0 for none; the next record; deadline; time to live, both in milliseconds.
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[3]) then return 'late' end
local record = redis.call('GET', KEYS[1])
local version = record and string.match(record, '^%d+') or '0'
if version ~= ARGV[1] then return record or '' end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
return 'set'
`;

/** Creates a room: refused if Redis is full. */
const makeRoom = defineScript(setLua);
/** Changes a room even if Redis is full, because departures free memory in the end. */
const changeRoom = defineScript(setLua, ['allow-oom']);

const leaseScript = defineScript(
  `
-- KEYS: leases. ARGV: id; duration in milliseconds; 'claim', or 'renew' for one that has not expired.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local deadline = now + tonumber(ARGV[2])
if ARGV[3] == 'claim' or redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('ZADD', KEYS[1], deadline, ARGV[1])
end
local reply = redis.call('ZRANGE', KEYS[1], 0, -1)
table.insert(reply, 1, string.format('%d', deadline))
return reply
`,
  ['allow-oom'],
);

/** Joins the cluster that uses this Redis. */
export function createRedisBackplane(
  connections: LocalConnections,
  redis: Redis,
  prefix: string,
  channel: NodeChannel,
  parts: Pick<ClusterParts, 'clock' | 'log' | 'leaseMs'>,
): ClusterBackplane {
  const backplane = createClusterBackplane(connections, {
    ...parts,
    processId: channel.nodeId,
    store: redisRecordStore(redis, prefix),
    leases: redisLeases(redis, prefix, channel),
    publisher: { publish: (processId, text) => channel.send(processId, KIND, text) },
  });
  channel.on(KIND, (text) => backplane.receive(text));
  channel.onSubscribed(() => backplane.resubscribed());
  redis.onUp(backplane.lease.hurry);
  return backplane;
}

function redisRecordStore(redis: Redis, prefix: string): RoomRecordStore {
  const keyOf = (roomId: string) =>
    `${prefix}{m${createHash('sha256').update(roomId).digest('base64url')}}`;
  const ttl = String(RECORD_TTL_MS);
  const recordOf = (reply: unknown, roomId: string): RoomRecord =>
    typeof reply === 'string' && reply !== '' ? decodeRecord(reply) : absentRecord(roomId);

  const read = async (roomId: string): Promise<RoomRecord> => {
    const key = keyOf(roomId);
    return recordOf(await redis.command(key, ['GETEX', key, 'PX', ttl]), roomId);
  };

  return {
    read,
    async compareAndSet(expected, next, deadline, isNew) {
      const { roomId, members } = next;
      const life = members.length === 0 ? String(EMPTY_TTL_MS) : ttl;
      const args = [String(expected), encodeRecord(next), String(deadline), life];
      try {
        // With REDIS_REPLICAS_ACK, a failover loses no change that members were told.
        const reply = await redis.write(isNew ? makeRoom : changeRoom, [keyOf(roomId)], args);
        if (reply === 'set' || reply === 'late') return { kind: reply };
        return { kind: 'conflict', record: recordOf(reply, roomId) };
      } catch (cause) {
        if (!isFull(cause)) throw cause;
        // The script was refused before it could check whether the room exists.
        const record = await read(roomId);
        return record.version === 0 ? { kind: 'full', cause } : { kind: 'conflict', record };
      }
    },
    async list() {
      const records = new Map<string, RoomRecord>();
      for await (const keys of redis.scan(`${prefix}{m*`)) {
        const texts = await Promise.all(keys.map((key) => redis.command(key, ['GET', key])));
        for (const [at, text] of texts.entries())
          records.set(keys[at] as string, recordOf(text, ''));
      }
      return [...records.values()];
    },
  };
}

function redisLeases(redis: Redis, prefix: string, channel: NodeChannel): LeaseRegistry {
  const key = `${prefix}{leases}`;
  return {
    async hold(id, ttlMs, isNew) {
      // Messages to a node without a subscription would be lost.
      const isReady = !isNew || (await channel.ready(PATIENCE_MS));
      if (!isReady) throw new Unavailable(new Error('no channel'));
      const args = [id, String(ttlMs), isNew ? 'claim' : 'renew'];
      const reply = await redis.run(leaseScript, [key], args);
      const [deadline, ...alive] = reply as [string, ...string[]];
      return { alive, deadline: Number(deadline) };
    },
    release: async (id) => void (await redis.command(key, ['ZREM', key, id])),
  };
}
