// Serves GET /metrics, an operator route.
import type { FastifyInstance, preHandlerAsyncHookHandler } from 'fastify';
import { COST } from '../limits/address-budget.js';
import type { Metrics } from '../observability/metrics.js';
import { budgetOf } from './paced-requests.js';

export function metricsRoute(
  app: FastifyInstance,
  metrics: Metrics,
  guard: preHandlerAsyncHookHandler,
): void {
  let underWay: Promise<string> | undefined;
  app.get('/metrics', { preHandler: guard, schema: { hide: true } }, async (request, reply) => {
    budgetOf(request.raw)?.charge(COST.scrape);
    // Simultaneous scrapes share one text.
    underWay ??= metrics.text().finally(() => {
      underWay = undefined;
    });
    return reply.type(metrics.contentType).send(await underWay);
  });
}
