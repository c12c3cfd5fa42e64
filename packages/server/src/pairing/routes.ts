// Registers the rooms API: the endpoints for pairings and push tokens. Without a store, they answer 404.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sendError } from '../http/errors.js';
import type { PairingParts } from './pairing.js';
import { pendingRoutes } from './pending-routes.js';
import { purgeRoute } from './purge-route.js';
import { pushRoutes } from './push-routes.js';
import { roomRoutes } from './room-routes.js';

/** Registers every endpoint that needs the store. */
export function pairingRoutes(app: FastifyInstance, parts: PairingParts): void {
  for (const register of [pendingRoutes, roomRoutes, purgeRoute, pushRoutes]) register(app, parts);
}

/** Without a store, answers every request to the rooms API with 404 and the code `rooms_api_disabled`. */
export function disabledPairingRoutes(app: FastifyInstance): void {
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
