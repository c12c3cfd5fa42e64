// Applies the access rule of the embedding application to requests to the API.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sendError } from './errors.js';

/** Whether a request is served. A rejected promise counts as false. */
export type RequestRule = (request: FastifyRequest) => boolean | Promise<boolean>;

/** Calls the rule before every request under /api, except preflights, which have no credentials. */
export function authorizeRequests(app: FastifyInstance, rule: RequestRule | undefined): void {
  if (rule === undefined) return;
  app.addHook('onRequest', async (request, reply) => {
    // Compares the matched route, not the URL: `/%61pi/rooms` and `http://host/api/rooms` match the same route.
    const path = request.routeOptions.url ?? request.url;
    if (request.method === 'OPTIONS' || !path.startsWith('/api/')) return undefined;
    try {
      if (await rule(request)) return undefined;
    } catch (error) {
      request.log.error({ err: error }, 'authorize failed');
    }
    return sendError(reply, 'unauthorized');
  });
}
