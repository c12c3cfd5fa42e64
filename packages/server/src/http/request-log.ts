// Measures each request, and logs one line with id, method, route, status and time, up to a limit per address. Never logs the URL, because its query can contain a room id.
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { COST } from '../limits/address-budget.js';
import type { RequestMeter } from '../observability/metrics.js';
import { budgetOf } from './paced-requests.js';

/** Makes request ids: short, unique across restarts, and never from the client, because its value could identify a user. */
export function requestIds(): () => string {
  const run = randomBytes(3).toString('hex');
  let count = 0;
  return () => `${run}-${(++count).toString(36)}`;
}

/** The hooks use callbacks: at thousands of requests per second, promises would be half of their cost. */
export function logRequests(app: FastifyInstance, measure: RequestMeter): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    const { url } = request.routeOptions;
    const { statusCode: status, elapsedTime } = reply;
    measure(method, url, status, elapsedTime / 1000);
    const budget = budgetOf(request.raw);
    budget?.charge(Number(reply.getHeader('content-length') ?? 0) * COST.answerByte);
    if (budget?.mayLog() ?? true) {
      const line = { method, route: url ?? 'none', status, ms: Math.round(elapsedTime * 10) / 10 };
      request.log.info(line, url === '/' ? 'Health check' : 'request');
    }
    done();
  });
}
