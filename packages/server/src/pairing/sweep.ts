// Runs the periodic sweep: deletes expired pendings and, if ROOM_IDLE_DAYS is set, idle rooms.
import type { Cancel, Clock } from '../base/clock.js';
import type { Logger } from '../observability/logger.js';
import type { PairingStore } from './store.js';

const SWEEP_PERIOD_MS = 60_000;

/** Sweeps now and every minute. A failed sweep is logged; the next one runs a minute later. */
export function startSweep(store: PairingStore, clock: Clock, log: Logger): Cancel {
  const sweep = async () => {
    try {
      const { pendings, rooms } = await store.sweep(clock.now());
      if (pendings + rooms > 0) log.info({ pendings, rooms }, 'expired rows deleted');
    } catch (error) {
      log.warn({ err: error }, 'sweep failed');
    }
  };
  void sweep();
  return clock.every(SWEEP_PERIOD_MS, () => void sweep());
}
