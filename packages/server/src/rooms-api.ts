// The rooms API, put together: the pairing feature and POST /api/ice-servers over one store, with its metrics, sweep and shutdown.
import type { FastifyInstance } from 'fastify';
import type { Budgets, Engine } from './engine.js';
import { startSweep } from './pairing/expiry.js';
import { createGuesses } from './pairing/guesses.js';
import { measureStore, pairingMetrics } from './pairing/metrics.js';
import { createPairing } from './pairing/pairing.js';
import { pairingRoutes } from './pairing/routes.js';
import type { PairingStore } from './pairing/store.js';
import { Waiting } from './pairing/waiting.js';
import type { Clock } from './platform/clock.js';
import type { Config } from './platform/config.js';
import { InFlight } from './platform/idempotency.js';
import type { Lifecycle } from './platform/lifecycle.js';
import type { Logger } from './platform/logger.js';
import type { Metrics } from './platform/metrics.js';
import type { createIceServers } from './turn/ice-servers.js';
import { iceServersRoute } from './turn/routes.js';

export interface RoomsApiDeps {
  config: Config;
  store: PairingStore;
  budgets: Budgets;
  onMissed: Engine['onMissed'];
  iceServers: ReturnType<typeof createIceServers>;
  clock: Clock;
  metrics: Metrics;
  lifecycle: Lifecycle;
  log: Logger;
}

export function serveRoomsApi(app: FastifyInstance, deps: RoomsApiDeps): void {
  const { config, budgets, clock, metrics, iceServers } = deps;
  const store = measureStore(deps.store, metrics);
  const waiting = new Waiting(clock, config.maxWaitingChecks);
  const inFlight = new InFlight(budgets.keyed);
  const failures = { accept: 0, check: 0 };
  const refusals = { address: 0, ceiling: 0, queue: 0 };
  const guesses = createGuesses(budgets, config.maxFailedGuessesPerMinute, clock, {
    failed(kind) {
      failures[kind] += 1;
    },
    refused(cause) {
      refusals[cause] += 1;
    },
  });
  deps.onMissed(() => waiting.wakeAll());
  pairingRoutes(app, {
    pairing: createPairing(store, waiting, clock),
    store,
    guesses,
    inFlight,
    clock,
    joinCodeDigits: config.joinCodeDigits,
    requireSecrets: config.requireDeviceSecrets,
  });
  const members = {
    find: (roomId: string) => store.findRoom(roomId, clock.now()),
    prove: (roomId: string, deviceId: string) => store.prove(roomId, deviceId),
  };
  const requireSecrets = config.requireDeviceSecrets;
  iceServersRoute(app, { iceServers, members, times: store, inFlight, clock, requireSecrets });
  pairingMetrics(metrics, {
    store,
    waiting,
    guesses,
    failures,
    refusals,
    guessers: budgets.guessers,
  });
  deps.lifecycle.require({ name: 'store', check: () => store.probe(clock.now()) });
  const stopSweep = startSweep(store, clock, deps.log);
  app.addHook('preClose', async () => {
    stopSweep();
    waiting.close();
  });
}
