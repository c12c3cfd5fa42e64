// The operations of a PairingStore with their values in a row, for tests that call them often.
import type { PairingStore } from '../../src/pairing/store.js';
import type { Repeatable } from '../../src/platform/idempotency.js';

export const create = (
  store: PairingStore,
  joinCode: string,
  client1: string,
  expiresAt: number,
  now: number,
  once?: Repeatable,
) => store.create({ joinCode, client1, expiresAt, address: '192.0.2.1' }, now, once);

export const accept = (
  store: PairingStore,
  joinCode: string,
  client2: string,
  roomId: string,
  collectableUntil: number,
  now: number,
  once?: Repeatable,
) => store.accept({ joinCode, client2, roomId, collectableUntil }, now, once);

/** Purges, and returns the counts alone. */
export async function purge(store: PairingStore, deviceIds: readonly string[]) {
  const outcome = await store.purge(deviceIds, 0);
  if (outcome.kind !== 'purged') throw new Error(`purge came to ${outcome.kind}`);
  const { kind: _, ...counts } = outcome;
  return counts;
}
