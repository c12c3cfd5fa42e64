// Periodic sweep: expired pendings go even when nobody writes, and idle rooms where the operator asked for it.
import type { Cancel, Clock } from '../base/clock.js';
import type { Logger } from '../observability/logger.js';
import type { PairingStore } from './store.js';

const SWEEP_PERIOD_MS = 60_000;

/** Sweeps now and every minute. A failed sweep is logged and tried again at the next turn. */
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
