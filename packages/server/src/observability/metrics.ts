// The Prometheus registry: every metric is made here or through here. Labels are from fixed sets, never from a request.
import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; from an in-memory answer to a held one. */
const DURATION_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** The methods that the API knows; a client may make up any number of others, and all of them count as one. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const OTHER_METHOD = 'other';

/** What a request that matches no route counts under. */
const NO_ROUTE = 'none';

/** One number per value of a label: the values are the same at every scrape. */
export type Numbers<Value extends string = string> = Readonly<Record<Value, number>>;

/** What the papers say of a metric. */
export interface MetricDescription {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Label → the values that it can have; in words, where the values are not ours to list. */
  readonly labels: Readonly<Record<string, readonly string[] | string>>;
}

/** Notes a duration, in seconds, under a value of the timer's label. */
export type Timer<Value extends string> = (value: Value, seconds: number) => void;

/**
 * The metrics of the process, Node's own. They belong to no server: made once, or every server that is mounted and
 * closed would leave its observers behind.
 */
let processRegistry: Registry | undefined;

function ofProcess(): Registry {
  if (processRegistry === undefined) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

/**
 * The metrics of one server. What happens often is counted by its owner in plain numbers and read at a scrape; a
 * message costs an addition, no look-up of labels. A metric whose reader fails is left out of the scrape: the others are
 * needed most when something is broken, and owners count their failures themselves.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #descriptions: MetricDescription[] = [];

  /** Every metric of this server, in the order in which they were made; those of the process are not among them. */
  get descriptions(): readonly MetricDescription[] {
    return this.#descriptions;
  }

  /** A counter that its owner keeps. */
  count(name: string, help: string, read: () => number): void {
    this.#describe('counter', name, help, {});
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        try {
          this.inc(read());
        } catch {
          this.remove();
        }
      },
    });
  }

  /** A counter that its owner keeps: one number per label value. */
  counts(name: string, help: string, label: string, read: () => Numbers): void {
    this.#describe('counter', name, help, { [label]: Object.keys(read()) });
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        try {
          for (const [value, count] of Object.entries(read())) this.inc({ [label]: value }, count);
        } catch {
          this.reset();
        }
      },
    });
  }

  /** A level that its owner knows. */
  level(name: string, help: string, read: () => number | Promise<number>): void {
    this.#describe('gauge', name, help, {});
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      async collect() {
        try {
          this.set(await read());
        } catch {
          this.remove();
        }
      },
    });
  }

  /** Levels that their owner knows: one number per value of the label, all of which are given here. */
  levels<Value extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly Value[],
    read: () => Numbers<Value> | Promise<Numbers<Value>>,
  ): void {
    this.#describe('gauge', name, help, { [label]: values });
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      async collect() {
        try {
          const numbers = await read();
          for (const value of values) this.set({ [label]: value }, numbers[value]);
        } catch {
          this.reset();
        }
      },
    });
  }

  /** A histogram of durations; every value of the label is there from the start. */
  timer<Value extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly Value[],
  ): Timer<Value> {
    this.#describe('histogram', name, help, { [label]: values });
    const histogram = new Histogram({
      name,
      help,
      labelNames: [label],
      buckets: DURATION_BUCKETS,
      registers: [this.#registry],
    });
    for (const value of values) histogram.zero({ [label]: value });
    return (value, seconds) => histogram.observe({ [label]: value }, seconds);
  }

  /** Rate, errors and duration of every route; a request that matches none counts under `none`. */
  measureRequests(app: FastifyInstance): void {
    const registers = [this.#registry];
    const labels = {
      method: [...METHODS, OTHER_METHOD],
      route: `pattern of the route, or ${NO_ROUTE}`,
    };
    const requests = new Counter({
      name: 'couplet_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#describe('counter', 'couplet_http_requests_total', 'HTTP requests answered.', {
      ...labels,
      status: 'HTTP status',
    });
    const name = 'couplet_http_request_duration_seconds';
    const help = 'Time to answer an HTTP request; held checks are longer by what they waited.';
    const durations = new Histogram({
      name,
      help,
      labelNames: ['method', 'route'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.#describe('histogram', name, help, labels);
    const methods: ReadonlySet<string> = new Set(METHODS);
    app.addHook('onResponse', (request, reply, done) => {
      const method = methods.has(request.method) ? request.method : OTHER_METHOD;
      const route = request.routeOptions.url ?? NO_ROUTE;
      requests.inc({ method, route, status: reply.statusCode });
      durations.observe({ method, route }, reply.elapsedTime / 1000);
      done();
    });
  }

  /** The media type of {@link text}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Prometheus' text format. */
  async text(): Promise<string> {
    const texts = [this.#registry.metrics(), ofProcess().metrics()];
    return `${(await Promise.all(texts)).map((text) => text.trimEnd()).join('\n')}\n`;
  }

  /** Names of all metrics, those of the process included: what a dashboard or an alert may ask for. */
  names(): string[] {
    const registries = [this.#registry, ofProcess()];
    return registries.flatMap((registry) => registry.getMetricsAsArray().map(({ name }) => name));
  }

  #describe(
    type: MetricDescription['type'],
    name: string,
    help: string,
    labels: MetricDescription['labels'],
  ): void {
    this.#descriptions.push({ name, type, help, labels });
  }
}
