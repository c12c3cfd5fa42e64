// Creates all metrics in a Prometheus registry. Label values come from fixed sets, never from a request.
import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** In seconds, from an answer out of memory to a held check. */
const DURATION_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Values of the label `method`. All other methods count as one, because a client can send any name. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const OTHER_METHOD = 'other';

/** Label value of requests that match no route. */
const NO_ROUTE = 'none';

/** One number per value of a label. The set of values is the same at every scrape. */
export type Numbers<Value extends string = string> = Readonly<Record<Value, number>>;

/** Description of a metric for the documentation. */
export interface MetricDescription {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** The possible values of each label, or a text if they cannot be listed. */
  readonly labels: Readonly<Record<string, readonly string[] | string>>;
}

/** A number of a metric, with the values of its labels. */
type Reading = [labels: Record<string, string>, number: number];

/** Records a duration, in seconds, under a value of the timer's label. */
export type Timer<Value extends string> = (value: Value, seconds: number) => void;

/**
 * Node's metrics of the process. They are created once per process; otherwise, every server that is mounted and closed
 * would leave its observers behind.
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
 * The metrics of one server. Their owners count frequent events in plain numbers, which are read at a scrape: a message
 * then costs one addition instead of a lookup of labels. If the `read` function of a metric fails, the scrape omits that
 * metric and has the others.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #descriptions: MetricDescription[] = [];

  /** All metrics of this server, in the order of their creation, without those of the process. */
  get descriptions(): readonly MetricDescription[] {
    return this.#descriptions;
  }

  /** Adds a counter, whose value `read` returns. */
  count(name: string, help: string, read: () => number): void {
    this.#add('counter', name, help, {}, () => [[{}, read()]]);
  }

  /** Adds a counter with a label. `read` returns one number per label value. */
  counts(name: string, help: string, label: string, read: () => Numbers): void {
    this.#add('counter', name, help, { [label]: Object.keys(read()) }, () =>
      Object.entries(read()).map(([value, count]) => [{ [label]: value }, count]),
    );
  }

  /** Adds a gauge, whose value `read` returns. */
  level(name: string, help: string, read: () => number | Promise<number>): void {
    this.#add('gauge', name, help, {}, async () => [[{}, await read()]]);
  }

  /** Adds a gauge with a label. `read` returns one number for each of `values`. */
  levels<Value extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly Value[],
    read: () => Numbers<Value> | Promise<Numbers<Value>>,
  ): void {
    this.#add('gauge', name, help, { [label]: values }, async () => {
      const numbers = await read();
      return values.map((value) => [{ [label]: value }, numbers[value]]);
    });
  }

  /** Adds a histogram of durations. All values of the label exist from the start. */
  timer<Value extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly Value[],
  ): Timer<Value> {
    const histogram = new Histogram({
      ...this.#described('histogram', name, help, { [label]: values }),
      buckets: DURATION_BUCKETS,
    });
    for (const value of values) histogram.zero({ [label]: value });
    return (value, seconds) => histogram.observe({ [label]: value }, seconds);
  }

  /** Adds the number, status and duration of the requests of every route. Requests that match no route count as `none`. */
  measureRequests(app: FastifyInstance): void {
    const labels = {
      method: [...METHODS, OTHER_METHOD],
      route: `pattern of the route, or ${NO_ROUTE}`,
    };
    const requests = new Counter(
      this.#described('counter', 'couplet_http_requests_total', 'HTTP requests answered.', {
        ...labels,
        status: 'HTTP status',
      }),
    );
    const durations = new Histogram({
      ...this.#described(
        'histogram',
        'couplet_http_request_duration_seconds',
        'Time to answer an HTTP request, in seconds. For held checks, it includes the waiting time.',
        labels,
      ),
      buckets: DURATION_BUCKETS,
    });
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

  /** All metrics in the text format of Prometheus. */
  async text(): Promise<string> {
    const texts = [this.#registry.metrics(), ofProcess().metrics()];
    return `${(await Promise.all(texts)).map((text) => text.trimEnd()).join('\n')}\n`;
  }

  /** Names of all metrics, including those of the process, for checks of dashboards and alerts. */
  names(): string[] {
    const registries = [this.#registry, ofProcess()];
    return registries.flatMap((registry) => registry.getMetricsAsArray().map(({ name }) => name));
  }

  /** Adds a metric that a scrape reads: its numbers, each with its labels. */
  #add(
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    labels: MetricDescription['labels'],
    read: () => Reading[] | Promise<Reading[]>,
  ): void {
    const Type = type === 'counter' ? Counter : Gauge;
    new Type<string>({
      ...this.#described(type, name, help, labels),
      async collect() {
        try {
          const numbers = await read();
          this.reset();
          for (const [values, number] of numbers) this.inc(values, number);
        } catch {
          this.reset();
          // A metric without labels keeps a zero after a reset.
          if (Object.keys(labels).length === 0) this.remove();
        }
      },
    });
  }

  /** Adds the description of a metric, and returns the options that create it. */
  #described(
    type: MetricDescription['type'],
    name: string,
    help: string,
    labels: MetricDescription['labels'],
  ) {
    this.#descriptions.push({ name, type, help, labels });
    return { name, help, labelNames: Object.keys(labels), registers: [this.#registry] };
  }
}
