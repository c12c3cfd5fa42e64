// Decides whether a request comes from a device of a paired room.
import type { Clock } from '../base/clock.js';
import { judgeClaim } from '../base/device-secrets.js';
import { given } from '../http/validation.js';
import type { PairingStore } from './store.js';

/** The fields with which a request names a device of a room. */
interface DeviceClaim {
  readonly roomid: string;
  readonly client: string;
  readonly secret?: string | null;
}

/**
 * Whether the request comes from a device of the room. Once a device has sent its secret, every request needs it. The
 * answer is the same for an unknown room and for a room of other devices. It is never 404, which clients treat as the end
 * of a pairing.
 */
export type IsPaired = (claim: DeviceClaim) => Promise<boolean>;

/** @param requireSecrets - whether the secret is required even from a device that has never sent it */
export const pairedDevices =
  (store: PairingStore, clock: Clock, requireSecrets: boolean): IsPaired =>
  async ({ roomid, client, secret }) => {
    const room = await store.findRoom(roomid, clock.now());
    const claim = room && judgeClaim(room, client, given(secret));
    if (claim?.kind === 'unproved') return !requireSecrets;
    if (claim?.kind !== 'proved') return false;
    if (claim.isNew) await store.prove(roomid, client);
    return true;
  };
