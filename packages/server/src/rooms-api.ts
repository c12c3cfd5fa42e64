// Assembles the rooms API: pairing and POST /api/ice-servers over one store, with metrics, sweep and shutdown.
import type { FastifyInstance } from 'fastify';
import type { Engine } from './engine.js';
import { InFlight, type Repeatable } from './http/idempotency.js';
import type { Lifecycle } from './http/lifecycle.js';
import { Quota } from './limits/quota.js';
import type { Services } from './observability/services.js';
import {
  createGuesses,
  guessCounters,
  MAX_ADDRESSES,
  nodeBudgets,
  storeBudgets,
} from './pairing/guesses.js';
import { measureStore, pairingMetrics } from './pairing/metrics.js';
import { createPairing } from './pairing/pairing.js';
import { pairingRoutes } from './pairing/routes.js';
import type { PairingStore } from './pairing/store.js';
import { startSweep } from './pairing/sweep.js';
import { Waiting } from './pairing/waiting.js';
import type { IceServersByRoom } from './turn/ice-servers.js';
import { iceServersRoute } from './turn/routes.js';

export interface RoomsApiDeps extends Services {
  store: PairingStore;
  onMissed: Engine['onMissed'];
  iceServers: IceServersByRoom;
  lifecycle: Lifecycle;
}

export function serveRoomsApi(app: FastifyInstance, deps: RoomsApiDeps): void {
  const { config, clock, metrics, iceServers } = deps;
  const store = measureStore(deps.store, metrics);
  const waiting = new Waiting(clock, config.maxWaitingChecks);
  const ceiling = config.maxFailedGuessesPerMinute;
  const { failedGuesses } = store;
  const budgets =
    failedGuesses === undefined
      ? nodeBudgets(config.maxCreatesPerHour, ceiling, clock)
      : storeBudgets(failedGuesses, clock);
  // A store with budgets also counts the requests with a key.
  const keyed = failedGuesses === undefined && {
    quota: new Quota(config.maxKeyedRequestsPerHour, clock, MAX_ADDRESSES),
    recall: async (request: Repeatable) => store.recall?.(clock.now(), request),
  };
  const inFlight = new InFlight(keyed || undefined);
  const guesses = createGuesses(budgets, ceiling, guessCounters(metrics));
  deps.onMissed(() => waiting.wakeAll());
  const requireSecrets = config.requireDeviceSecrets;
  const pairing = createPairing(store, waiting, clock, requireSecrets);
  const { joinCodeDigits } = config;
  const parts = { pairing, store, guesses, inFlight, clock, joinCodeDigits, requireSecrets };
  pairingRoutes(app, parts);
  const { isPaired } = pairing;
  iceServersRoute(app, { iceServers, isPaired, times: store, inFlight, clock });
  pairingMetrics(metrics, { store, waiting, guesses, guessers: budgets.guessers });
  deps.lifecycle.require({ name: 'store', check: () => store.probe(clock.now()) });
  const stopSweep = startSweep(store, clock, deps.log);
  app.addHook('preClose', async () => {
    stopSweep();
    waiting.close();
  });
}
