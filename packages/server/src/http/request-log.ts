// One log line per request, as far as its address has not had its share of lines: method, route, status, time. Never the URL: its query can hold a room id.
import type { FastifyInstance } from 'fastify';
import { COST } from '../limits/address-budget.js';
import { budgetOf } from './paced-requests.js';

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
    const budget = budgetOf(request.raw);
    budget?.charge(Number(reply.getHeader('content-length') ?? 0) * COST.answerByte);
    if (budget?.mayLog() ?? true) {
      request.log.info(line, route === '/' ? 'Health check' : 'request');
    }
    done();
  });
}
