// What the pairing feature shows: rows, held checks, guesses, and how long the store takes.
import type { Metrics, Numbers } from '../platform/metrics.js';
import type { Guesses } from './guesses.js';
import type { PairingStore, StoreCounts } from './store.js';
import type { Waiting } from './waiting.js';

/** Every operation of a store, and whether it is timed; the others are rare, or no operation. */
const OPERATIONS: Record<keyof PairingStore, boolean> = {
  create: true,
  accept: true,
  check: true,
  findRoom: true,
  prove: true,
  deleteRoom: true,
  purge: true,
  recall: true,
  firstTime: true,
  sweep: true,
  counts: true,
  probe: true,
  onChange: false,
  close: false,
};

/** The same store, with its operations timed and their failures counted. */
export function measureStore(store: PairingStore, metrics: Metrics): PairingStore {
  const operations = Object.entries(OPERATIONS).map(([name, isTimed]) => ({
    name: name as keyof PairingStore,
    isTimed,
  }));
  const timed = operations.filter(({ isTimed }) => isTimed).map(({ name }) => name);
  const time = metrics.timer(
    'couplet_store_duration_seconds',
    'Time a store operation takes, its commit included.',
    'operation',
    timed,
  );
  const failures = Object.fromEntries(timed.map((name) => [name, 0])) as Record<string, number>;
  metrics.counts(
    'couplet_store_failures_total',
    'Store operations that failed; a request that needed one is answered 503.',
    'operation',
    () => failures,
  );
  const measured = operations.map(({ name, isTimed }) => {
    const operation = (...args: unknown[]) =>
      (store[name] as (...args: unknown[]) => unknown).apply(store, args);
    if (!isTimed) return [name, operation];
    const measure = async (...args: unknown[]) => {
      const start = performance.now();
      try {
        return await operation(...args);
      } catch (error) {
        failures[name] = (failures[name] ?? 0) + 1;
        throw error;
      } finally {
        time(name, (performance.now() - start) / 1000);
      }
    };
    return [name, measure];
  });
  return Object.fromEntries(measured) as PairingStore;
}

export interface PairingMetricsDeps {
  store: PairingStore;
  waiting: Waiting;
  guesses: Guesses;
  failures: Numbers<'accept' | 'check'>;
  /** Addresses whose failed guesses are remembered, where that can be counted. */
  guessers: (() => Numbers<'accept' | 'check'>) | undefined;
}

export function pairingMetrics(
  metrics: Metrics,
  { store, waiting, guesses, failures, guessers }: PairingMetricsDeps,
): void {
  // One scrape asks for three of these numbers at once; the store is asked once.
  let counting: Promise<StoreCounts> | undefined;
  const counts = () => {
    counting ??= store.counts().finally(() => {
      counting = undefined;
    });
    return counting;
  };
  metrics.level('couplet_pendings', 'Pendings stored.', async () => (await counts()).pendings);
  metrics.level('couplet_rooms', 'Paired rooms stored.', async () => (await counts()).rooms);
  metrics.level(
    'couplet_idempotency_records',
    'Answers kept for their Idempotency-Key.',
    async () => (await counts()).idempotencyRecords,
  );
  metrics.level('couplet_waiting_checks', 'Checks held by Prefer: wait.', () => waiting.size);
  metrics.counts(
    'couplet_failed_guesses_total',
    'Failed accepts and checks.',
    'kind',
    () => failures,
  );
  if (guessers) {
    metrics.levels(
      'couplet_guessing_addresses',
      'Addresses whose failed guesses are remembered.',
      'kind',
      ['accept', 'check'],
      guessers,
    );
  }
  metrics.level(
    'couplet_slowed_guesses',
    'Failed guesses whose answers are being held back, because the budget of the server is used up.',
    () => guesses.held,
  );
  metrics.level(
    'couplet_guess_alarm',
    '1 while failed guesses exceed the budget of the server.',
    async () => ((await guesses.alarmed()) ? 1 : 0),
  );
}
