// Assembles the rooms API over a store: endpoints for pairings and push tokens, metrics, sweep and shutdown.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sendError } from '../http/errors.js';
import { InFlight, type Repeatable } from '../http/idempotency.js';
import type { HttpServices } from '../http/services.js';
import { Quota } from '../limits/quota.js';
import { createGuesses, guessCounters, guessLimits, MAX_ADDRESSES } from './guesses.js';
import { measureStore, pairingMetrics } from './metrics.js';
import { createPairing, type PairingServices } from './pairing.js';
import { pendingRoutes } from './pending-routes.js';
import { purgeRoute } from './purge-route.js';
import { pushTokenRoutes } from './push-token-routes.js';
import { roomRoutes } from './room-routes.js';
import type { PairingStore } from './store.js';
import { startSweep } from './sweep.js';
import { Waiting } from './waiting.js';

export interface RoomsApiDeps extends HttpServices {
  store: PairingStore;
  /** Calls `listener` when a notification of a change in the store may have been lost. */
  onMissed(listener: () => void): void;
}

/** Registers the endpoints that need the store. Returns their shared services, for further endpoints over the same store. */
export function serveRoomsApi(app: FastifyInstance, deps: RoomsApiDeps): PairingServices {
  const { config, clock, metrics } = deps;
  const store = measureStore(deps.store, metrics);
  const waiting = new Waiting(clock, config.maxWaitingChecks);
  const limits = guessLimits(config);
  const guesses = createGuesses(store, limits, clock, guessCounters(metrics));
  // A store with budgets also counts the requests with a key.
  const keyed = store.failedGuesses === undefined && {
    quota: new Quota(limits.keyedPerHour, clock, MAX_ADDRESSES),
    recall: async (request: Repeatable) => store.recall?.(clock.now(), request),
  };
  const inFlight = new InFlight(keyed || undefined);
  deps.onMissed(() => waiting.wakeAll());
  const pairing = createPairing(store, waiting, clock, config.requireDeviceSecrets);
  const services = { ...deps, pairing, store, guesses, inFlight };
  for (const register of [pendingRoutes, roomRoutes, purgeRoute, pushTokenRoutes]) {
    register(app, services);
  }
  pairingMetrics(metrics, store, waiting, guesses);
  deps.lifecycle.require({ name: 'store', check: () => store.probe(clock.now()) });
  const stopSweep = startSweep(store, clock, deps.log);
  app.addHook('preClose', async () => {
    stopSweep();
    waiting.close();
  });
  return services;
}

/** Without a store, answers every request to the rooms API with 404 and the code `rooms_api_disabled`. */
export function disableRoomsApi(app: FastifyInstance): void {
  const disabled = async (_request: FastifyRequest, reply: FastifyReply) =>
    sendError(reply, 'rooms_api_disabled');
  for (const url of [
    '/api/rooms',
    '/api/rooms/*',
    '/api/user/purge',
    '/api/ice-servers',
    '/api/push',
    '/api/push-token',
    '/api/badge/reset',
  ]) {
    app.route({
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      url,
      schema: { hide: true },
      // Runs before the body is read, so that an invalid body does not get another error.
      onRequest: disabled,
      handler: disabled,
    });
  }
}
