// Defines the metrics of pairing: rows, held checks, guesses, and the duration of store operations.
import { Limited } from '../base/failures.js';
import type { Metrics } from '../observability/metrics.js';
import type { Guesses } from './guesses.js';
import type { PairingStore, StoreCounts } from './store.js';
import type { Waiting } from './waiting.js';

/** Every method of a store, and whether it is timed. The others are rare, are no operations, or are only called by signaling. */
const OPERATIONS: Record<keyof PairingStore, boolean> = {
  create: true,
  accept: true,
  check: true,
  cancel: true,
  findRoom: true,
  prove: true,
  deleteRoom: true,
  purge: true,
  recall: true,
  firstTime: true,
  setPushTarget: true,
  claimPush: false,
  forgetPushTarget: false,
  sweep: true,
  counts: true,
  probe: true,
  failedGuesses: false,
  onChange: false,
  close: false,
};

/** Wraps a store: times its operations and counts their failures. */
export function measureStore(store: PairingStore, metrics: Metrics): PairingStore {
  const operations = Object.entries(OPERATIONS)
    .map(([name, isTimed]) => ({ name: name as keyof PairingStore, isTimed }))
    .filter(({ name }) => store[name] !== undefined);
  const timed = operations.filter(({ isTimed }) => isTimed).map(({ name }) => name);
  const time = metrics.timer(
    'couplet_store_duration_seconds',
    'Duration of a store operation in seconds, including its commit.',
    'operation',
    timed,
  );
  const failures = metrics.counter(
    'couplet_store_failures_total',
    'Store operations that failed. The request that needed the operation gets 503.',
    'operation',
    timed,
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
        if (!(error instanceof Limited)) failures[name] += 1;
        throw error;
      } finally {
        time(name, (performance.now() - start) / 1000);
      }
    };
    return [name, measure];
  });
  return Object.fromEntries(measured) as PairingStore;
}

export function pairingMetrics(
  metrics: Metrics,
  store: PairingStore,
  waiting: Waiting,
  guesses: Guesses,
): void {
  // One scrape reads three of these numbers at once; they share one call to the store.
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
    'Stored responses, one per Idempotency-Key.',
    async () => (await counts()).idempotencyRecords,
  );
  metrics.level(
    'couplet_waiting_checks',
    'Checks held open because of Prefer: wait.',
    () => waiting.size,
  );
  if (guesses.guessers) {
    metrics.levels(
      'couplet_guessing_addresses',
      'Addresses with failed guesses that are not yet forgiven.',
      'kind',
      ['accept', 'check'],
      guesses.guessers,
    );
  }
  metrics.level(
    'couplet_guess_alarm',
    '1 while the failed guesses of this minute have reached MAX_FAILED_GUESSES_PER_MINUTE.',
    async () => ((await guesses.alarmed()) ? 1 : 0),
  );
}
