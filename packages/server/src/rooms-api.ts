// Assembles the rooms API: pairing and POST /api/ice-servers over one store, with metrics, sweep and shutdown.
import type { FastifyInstance } from 'fastify';
import type { Clock } from './base/clock.js';
import type { Engine } from './engine.js';
import { InFlight } from './http/idempotency.js';
import type { Lifecycle } from './http/lifecycle.js';
import { MinuteCount } from './limits/minute-count.js';
import { Penalties } from './limits/penalties.js';
import { Quota } from './limits/quota.js';
import type { Logger } from './observability/logger.js';
import type { Metrics } from './observability/metrics.js';
import { startSweep } from './pairing/expiry.js';
import {
  ACCEPT_GUESSES,
  CHECK_GUESSES,
  createGuesses,
  guessCounters,
  nodeBudgets,
  storeBudgets,
} from './pairing/guesses.js';
import { measureStore, pairingMetrics } from './pairing/metrics.js';
import { pairedDevices } from './pairing/paired-devices.js';
import { createPairing } from './pairing/pairing.js';
import { pairingRoutes } from './pairing/routes.js';
import type { PairingStore } from './pairing/store.js';
import { Waiting } from './pairing/waiting.js';
import type { Config } from './settings/config.js';
import type { IceServersByRoom } from './turn/ice-servers.js';
import { iceServersRoute } from './turn/routes.js';

/** Maximum number of addresses with budgets in memory; each takes about a hundred bytes. */
const MAX_ADDRESSES = 100_000;

export interface RoomsApiDeps {
  config: Config;
  store: PairingStore;
  onMissed: Engine['onMissed'];
  iceServers: IceServersByRoom;
  clock: Clock;
  metrics: Metrics;
  lifecycle: Lifecycle;
  log: Logger;
}

export function serveRoomsApi(app: FastifyInstance, deps: RoomsApiDeps): void {
  const { config, clock, metrics, iceServers } = deps;
  const store = measureStore(deps.store, metrics);
  const waiting = new Waiting(clock, config.maxWaitingChecks);
  const { budgets, keyed, guessers } = openBudgets(store, config, clock);
  const inFlight = new InFlight(keyed);
  const ceiling = config.maxFailedGuessesPerMinute;
  const guesses = createGuesses(budgets, ceiling, guessCounters(metrics));
  deps.onMissed(() => waiting.wakeAll());
  const requireSecrets = config.requireDeviceSecrets;
  const isPaired = pairedDevices(store, clock, requireSecrets);
  pairingRoutes(app, {
    pairing: createPairing(store, waiting, clock),
    store,
    guesses,
    inFlight,
    clock,
    joinCodeDigits: config.joinCodeDigits,
    isPaired,
    requireSecrets,
  });
  iceServersRoute(app, { iceServers, isPaired, times: store, inFlight, clock });
  pairingMetrics(metrics, { store, waiting, guesses, guessers });
  deps.lifecycle.require({ name: 'store', check: () => store.probe(clock.now()) });
  const stopSweep = startSweep(store, clock, deps.log);
  app.addHook('preClose', async () => {
    stopSweep();
    waiting.close();
  });
}

/** Opens the budgets of the store, or budgets in memory if the store has none. */
function openBudgets({ failedGuesses }: PairingStore, config: Config, clock: Clock) {
  if (failedGuesses !== undefined) return { budgets: storeBudgets(failedGuesses, clock) };
  const quota = (perHour: number) => new Quota(perHour, clock, MAX_ADDRESSES);
  const penalties = {
    accept: new Penalties(ACCEPT_GUESSES, clock, MAX_ADDRESSES),
    check: new Penalties(CHECK_GUESSES, clock, MAX_ADDRESSES),
  };
  const kept = {
    penalties,
    creates: quota(config.maxCreatesPerHour),
    failures: new MinuteCount(clock),
  };
  return {
    budgets: nodeBudgets(kept, config.maxFailedGuessesPerMinute, clock),
    keyed: quota(config.maxKeyedRequestsPerHour),
    guessers: () => ({ accept: penalties.accept.size, check: penalties.check.size }),
  };
}
