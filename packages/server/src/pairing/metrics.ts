// What the pairing feature shows: rows, held checks, guesses, and how long the store takes.
import type { Metrics } from '../platform/metrics.js';
import type { Guesses } from './guesses.js';
import type { PairingStore } from './store.js';
import type { Waiting } from './waiting.js';

/** Every operation of a store, and whether it is timed; the others are rare, or no operation. */
const OPERATIONS: Record<keyof PairingStore, boolean> = {
  create: true,
  accept: true,
  check: true,
  findRoom: true,
  deleteRoom: true,
  purge: true,
  firstTime: true,
  sweep: true,
  counts: false,
  probe: true,
  onChange: false,
  close: false,
};

/** The same store, with its operations timed. */
export function measureStore(store: PairingStore, metrics: Metrics): PairingStore {
  const timer = metrics.timer(
    'couplet_store_seconds',
    'Time a store operation takes, its commit included.',
    'operation',
  );
  const measured = Object.entries(OPERATIONS).map(([name, isTimed]) => {
    const operation = (...args: unknown[]) =>
      (store[name as keyof PairingStore] as (...args: unknown[]) => unknown).apply(store, args);
    const timed = async (...args: unknown[]) => {
      const start = performance.now();
      try {
        return await operation(...args);
      } finally {
        timer.observe(name, (performance.now() - start) / 1000);
      }
    };
    return [name, isTimed ? timed : operation];
  });
  return Object.fromEntries(measured) as PairingStore;
}

export function pairingMetrics(
  metrics: Metrics,
  store: PairingStore,
  waiting: Waiting,
  guesses: Guesses,
  failures: Readonly<Record<'accept' | 'check', number>>,
): void {
  metrics.level(
    'couplet_pendings',
    'Pendings stored.',
    async () => (await store.counts()).pendings,
  );
  metrics.level('couplet_rooms', 'Paired rooms stored.', async () => (await store.counts()).rooms);
  metrics.level(
    'couplet_idempotency_records',
    'Answers kept for their Idempotency-Key.',
    async () => (await store.counts()).idempotencyRecords,
  );
  metrics.level('couplet_waiting_checks', 'Checks held by Prefer: wait.', () => waiting.size);
  metrics.counts(
    'couplet_failed_guesses_total',
    'Failed accepts and checks.',
    'kind',
    () => failures,
  );
  metrics.level(
    'couplet_guess_alarm',
    '1 while failed guesses exceed the budget of the server.',
    () => (guesses.alarmed ? 1 : 0),
  );
}
