// The operations of a PairingStore with positional arguments, for tests that call them often.

import type { Repeatable } from '../../src/http/idempotency.js';
import type { PairingStore } from '../../src/pairing/store.js';

/** The secret that {@link create} and {@link accept} give a device. */
export const secretOf = (deviceId: string, joinCode: string): string =>
  `${deviceId} of ${joinCode}`;

export const create = (
  store: PairingStore,
  joinCode: string,
  client1: string,
  expiresAt: number,
  now: number,
  once?: Repeatable,
  proof?: string,
) => {
  const secret = secretOf(client1, joinCode);
  return store.create(
    { joinCode, client1, expiresAt, address: '192.0.2.1', secret, proof },
    now,
    once,
  );
};

export const accept = (
  store: PairingStore,
  joinCode: string,
  client2: string,
  roomId: string,
  collectableUntil: number,
  now: number,
  once?: Repeatable,
) => {
  const secret = secretOf(client2, joinCode);
  return store.accept({ joinCode, client2, roomId, collectableUntil, secret }, now, once);
};

/** Purges, and returns only the counts. */
export async function purge(store: PairingStore, deviceIds: readonly string[]) {
  const outcome = await store.purge(deviceIds, 0);
  if (outcome.kind !== 'purged') throw new Error(`purge came to ${outcome.kind}`);
  const { roomsDeleted, pendingsDeleted } = outcome;
  return { roomsDeleted, pendingsDeleted };
}
