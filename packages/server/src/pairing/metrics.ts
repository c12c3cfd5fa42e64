// What the pairing feature shows: rows, held checks, guesses, and how long the store takes.
import type { Metrics } from '../platform/metrics.js';
import type { Guesses } from './guesses.js';
import type { PairingStore } from './store.js';
import type { Waiting } from './waiting.js';

/** Operations that are timed; the others are rare. */
const TIMED = ['create', 'accept', 'check', 'findRoom', 'deleteRoom', 'purge', 'sweep'] as const;

/** The same store, with each operation timed. */
export function measureStore(store: PairingStore, metrics: Metrics): PairingStore {
  const timer = metrics.timer(
    'couplet_store_seconds',
    'Time a store operation takes, its commit included.',
    'operation',
  );
  const measured: PairingStore = { ...store };
  for (const name of TIMED) {
    const operation = store[name] as (...args: unknown[]) => Promise<unknown>;
    Object.assign(measured, {
      async [name](...args: unknown[]) {
        const start = performance.now();
        try {
          return await operation(...args);
        } finally {
          timer.observe(name, (performance.now() - start) / 1000);
        }
      },
    });
  }
  return measured;
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
