// One log line per request: method, route, status, time. Never the URL: its query can hold a room id.
import type { FastifyInstance } from 'fastify';

/** Hooks of every request make no promises: at thousands of requests a second those would be half of their cost. */
export function logRequests(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    const line = {
      method: request.method,
      route,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
    };
    request.log.info(line, route === '/' ? 'Health check' : 'request');
    done();
  });
}
