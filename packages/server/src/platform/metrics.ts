// The Prometheus registry: every metric is made here or through here. Labels are from fixed sets, never from a request.
import type { FastifyInstance, preHandlerAsyncHookHandler } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; from an in-memory answer to a held one. */
const DURATION_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

export interface Timer {
  /** Notes a duration, in seconds, under a label from a fixed set. */
  observe(label: string, seconds: number): void;
}

/**
 * The metrics of one server. What happens often is counted by its owner in plain numbers and read at a scrape; a
 * message costs an addition, no look-up of labels.
 */
export class Metrics {
  readonly #registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** A counter that its owner keeps: one number per label value. */
  counts(
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<string, number>>,
  ): void {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, count] of Object.entries(read())) this.inc({ [label]: value }, count);
      },
    });
  }

  /** A level that its owner knows. */
  level(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      async collect() {
        this.set(await read());
      },
    });
  }

  timer(name: string, help: string, label: string): Timer {
    const histogram = new Histogram({
      name,
      help,
      labelNames: [label],
      buckets: DURATION_BUCKETS,
      registers: [this.#registry],
    });
    return { observe: (value, seconds) => histogram.observe({ [label]: value }, seconds) };
  }

  /** Rate, errors and duration of every route; a request that matches none counts under `none`. */
  measureRequests(app: FastifyInstance): void {
    const requests = new Counter({
      name: 'couplet_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames: ['method', 'route', 'status'],
      registers: [this.#registry],
    });
    const durations = new Histogram({
      name: 'couplet_http_request_duration_seconds',
      help: 'Time to answer an HTTP request; held checks are longer by what they waited.',
      labelNames: ['method', 'route'],
      buckets: DURATION_BUCKETS,
      registers: [this.#registry],
    });
    app.addHook('onResponse', async (request, reply) => {
      const { method } = request;
      const route = request.routeOptions.url ?? 'none';
      requests.inc({ method, route, status: reply.statusCode });
      durations.observe({ method, route }, reply.elapsedTime / 1000);
    });
  }

  /** GET /metrics, for whom the guard lets through. */
  route(app: FastifyInstance, guard: preHandlerAsyncHookHandler): void {
    app.get('/metrics', { preHandler: guard, schema: { hide: true } }, async (_request, reply) =>
      reply.type(this.#registry.contentType).send(await this.#registry.metrics()),
    );
  }

  /** Names of all metrics, for the test that holds dashboard and alerts against them. */
  async names(): Promise<string[]> {
    return (await this.#registry.getMetricsAsJSON()).map(({ name }) => name);
  }
}
