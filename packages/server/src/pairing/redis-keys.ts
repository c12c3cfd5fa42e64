// The keys of the store in Redis. Each operation touches one slot: pendings, rooms and records lie in 256 buckets, devices and addresses alone.
//
// {p<b>}<code>     a pending           {p<b>}index   its codes, by expiry
// {r<b>}<hash>     a room              {r<b>}index   hashes of its rooms, by last use
// {i<b>}<hash>     an idempotency record             {i<b>}index   hashes of its records, by expiry
// {d<hash>}        of a device: p<code> by expiry, r<hash of the room> for ever; {d<hash>}accepted: codes that it accepted
// {o<hash>}        of an address: codes, by expiry
//
// Ids of devices and rooms are hashed where they are part of a key: a room id is all that it takes to enter a room.
import { createHash } from 'node:crypto';
import type { Keys } from '../platform/redis.js';

const BUCKETS = 256;

/** What stands for an id in a key: 128 bits of its hash. */
export const hashOf = (text: string): string =>
  createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** The bucket of a text: FNV-1a over its code units, folded to eight bits. */
function bucketOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n++) {
    hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193);
  }
  return ((hash >>> 24) ^ (hash >>> 12) ^ hash) & (BUCKETS - 1);
}

export type IndexKind = 'pendings' | 'rooms' | 'records';

const TAGS: Record<IndexKind, string> = { pendings: 'p', rooms: 'r', records: 'i' };

export interface StoreKeys {
  /** A pending, and the index that it is in. */
  pending(joinCode: string): Keys;
  /** A room, and the index that it is in. */
  room(roomHash: string): Keys;
  record(keyHash: string): Keys;
  /** What a device has, and the codes that it accepted. */
  device(deviceId: string): Keys;
  address(addressHash: string): Keys;
  /** What a readiness check writes: anywhere in the cluster. */
  probe(): Keys;
  /** All indices of a kind. */
  indices(kind: IndexKind): string[];
}

export function storeKeys(prefix: string): StoreKeys {
  const inBucket = (kind: IndexKind, name: string): Keys => {
    const bucket = `${prefix}{${TAGS[kind]}${bucketOf(name)}}`;
    return [bucket + name, `${bucket}index`];
  };
  return {
    pending: (joinCode) => inBucket('pendings', joinCode),
    room: (roomHash) => inBucket('rooms', roomHash),
    record: (keyHash) => inBucket('records', keyHash),
    device(deviceId) {
      const own = `${prefix}{d${hashOf(deviceId)}}`;
      return [own, `${own}accepted`];
    },
    address: (addressHash) => [`${prefix}{o${addressHash}}`],
    probe: () => [`${prefix}{h${Math.floor(Math.random() * BUCKETS)}}probe`],
    indices: (kind) =>
      Array.from({ length: BUCKETS }, (_, n) => `${prefix}{${TAGS[kind]}${n}}index`),
  };
}
