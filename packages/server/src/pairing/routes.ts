// The rooms API: every endpoint under /api/rooms and /api/user, or what stands there without a store.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sendError } from '../http/errors.js';
import { type PendingRouteDeps, pendingRoutes } from './pending-routes.js';
import { purgeRoute } from './purge-route.js';
import { roomRoutes } from './room-routes.js';
import type { PairingStore } from './store.js';

export interface PairingRouteDeps extends PendingRouteDeps {
  store: PairingStore;
}

/** Registers every endpoint that needs the store. */
export function pairingRoutes(app: FastifyInstance, deps: PairingRouteDeps): void {
  pendingRoutes(app, deps);
  roomRoutes(app, deps.store, deps.clock, deps.requireSecrets);
  purgeRoute(app, deps.store, deps.inFlight, deps.clock, deps.requireSecrets);
}

/** What stands at the place of the rooms API when there is no store: 404 with a code that says why, whatever is sent. */
export function disabledPairingRoutes(app: FastifyInstance): void {
  const disabled = async (_request: FastifyRequest, reply: FastifyReply) =>
    sendError(reply, 'rooms_api_disabled');
  for (const url of ['/api/rooms', '/api/rooms/*', '/api/user/purge', '/api/ice-servers']) {
    app.route({
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      url,
      schema: { hide: true },
      // Before the body is read: no fault of it may hide the reason.
      onRequest: disabled,
      handler: disabled,
    });
  }
}
