// The embedding application's word on requests to the API.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sendError } from './errors.js';

/** Whether a request is served; a rule that rejects counts as no. */
export type RequestRule = (request: FastifyRequest) => boolean | Promise<boolean>;

/** Asks the rule before every request under /api; never for a preflight, which carries no credentials. */
export function authorizeRequests(app: FastifyInstance, rule: RequestRule | undefined): void {
  if (rule === undefined) return;
  app.addHook('onRequest', async (request, reply) => {
    // By the route that will serve it, not by what the client wrote: `/%61pi/rooms` and `http://host/api/rooms` lead
    // there too.
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
