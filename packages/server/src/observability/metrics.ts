// Holds the metrics as plain numbers, and writes them in the text format of Prometheus. Label values come from fixed sets, never from a request.
import { createRequire } from 'node:module';
import type { Registry } from 'prom-client';

/** Upper bounds of the buckets in seconds, from an answer out of memory to a held check. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const BOUNDS = [...BUCKETS.map(String), '+Inf'];

/** Values of the label `method`. All other methods count as one, because a client can send any name. */
const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
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

/** A number for each value of a label, all of them 0. */
export const zeros = <Value extends string>(values: readonly Value[]) =>
  Object.fromEntries(values.map((value) => [value, 0])) as Record<Value, number>;

type Labels = Readonly<Record<string, string>>;

/** A number of a metric, with the values of its labels. */
export type Reading = readonly [labels: Labels, number: number, suffix?: string];

/** Records a duration, in seconds, under a value of the timer's label. */
export type Timer<Value extends string> = (value: Value, seconds: number) => void;

/** Records an answered request. */
export type RequestMeter = (
  method: string,
  route: string | undefined,
  status: number,
  seconds: number,
) => void;

/** The durations of one combination of label values. */
class Durations {
  /** Number of durations in each bucket and in no smaller one. The last bucket has no bound. */
  readonly #counts = BOUNDS.map(() => 0);
  #sum = 0;

  add(seconds: number): void {
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > (BUCKETS[bucket] as number)) bucket += 1;
    (this.#counts[bucket] as number) += 1;
    this.#sum += seconds;
  }

  readings(labels: Labels): Reading[] {
    let count = 0;
    const buckets = BOUNDS.map((le, n): Reading => {
      count += this.#counts[n] as number;
      return [{ le, ...labels }, count, '_bucket'];
    });
    return [...buckets, [labels, this.#sum, '_sum'], [labels, count, '_count']];
  }
}

/** The requests of one method of one route. */
class Requests {
  readonly durations = new Durations();
  readonly byStatus = new Map<number, number>();

  add(status: number, seconds: number): void {
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
    this.durations.add(seconds);
  }
}

/**
 * Node's metrics of the process. They are created once per process; otherwise, every server that is mounted and closed
 * would leave its observers behind. They are created at the first scrape, because their modules delay a start.
 */
let processRegistry: Registry | undefined;

function ofProcess(): Registry {
  if (processRegistry === undefined) {
    const prometheus = createRequire(import.meta.url)(
      'prom-client',
    ) as typeof import('prom-client');
    processRegistry = new prometheus.Registry();
    prometheus.collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

/**
 * The metrics of one server. Their owners count events in plain numbers, which are read at a scrape: an event then costs
 * one addition. If the `read` function of a metric fails, the scrape omits that metric and has the others.
 */
export class Metrics {
  readonly #metrics: (MetricDescription & { read: () => Reading[] | Promise<Reading[]> })[] = [];

  /** All metrics of this server, in the order of their creation, without those of the process. */
  get descriptions(): readonly MetricDescription[] {
    return this.#metrics;
  }

  /** Adds a counter, whose value `read` returns. */
  count(name: string, help: string, read: () => number): void {
    this.add('counter', name, help, {}, () => [[{}, read()]]);
  }

  /** Adds a counter with a label. `read` returns one number per label value. */
  counts(name: string, help: string, label: string, read: () => Numbers): void {
    this.add('counter', name, help, { [label]: Object.keys(read()) }, () =>
      Object.entries(read()).map(([value, count]) => [{ [label]: value }, count]),
    );
  }

  /** Adds a counter with a label. Returns its numbers, one for each of `values`, which the caller increments. */
  counter<Value extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly Value[],
  ): Record<Value, number> {
    const numbers = zeros(values);
    this.counts(name, help, label, () => numbers);
    return numbers;
  }

  /** Adds a gauge, whose value `read` returns. */
  level(name: string, help: string, read: () => number | Promise<number>): void {
    this.add('gauge', name, help, {}, async () => [[{}, await read()]]);
  }

  /** Adds a gauge with a label. `read` returns one number for each of `values`. */
  levels<Value extends string>(
    name: string,
    help: string,
    label: string,
    values: readonly Value[],
    read: () => Numbers<Value> | Promise<Numbers<Value>>,
  ): void {
    this.add('gauge', name, help, { [label]: values }, async () => {
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
    const all = new Map(values.map((value) => [value, new Durations()]));
    this.add('histogram', name, help, { [label]: values }, () =>
      [...all].flatMap(([value, durations]) => durations.readings({ [label]: value })),
    );
    return (value, seconds) => all.get(value)?.add(seconds);
  }

  /** Adds the number, status and duration of the requests of every route. Requests that match no route count as `none`. */
  requests(): RequestMeter {
    const byRoute = new Map<string, Map<string, Requests>>();
    const all = () =>
      [...byRoute].flatMap(([route, byMethod]) =>
        [...byMethod].map(([method, requests]) => ({ labels: { method, route }, requests })),
      );
    const labels = {
      method: [...METHODS, OTHER_METHOD],
      route: `pattern of the route, or ${NO_ROUTE}`,
    };
    this.add(
      'counter',
      'couplet_http_requests_total',
      'HTTP requests answered.',
      { ...labels, status: 'HTTP status' },
      () =>
        all().flatMap(({ labels, requests }) =>
          [...requests.byStatus].map(([status, count]): Reading => {
            return [{ ...labels, status: String(status) }, count];
          }),
        ),
    );
    this.add(
      'histogram',
      'couplet_http_request_duration_seconds',
      'Time to answer an HTTP request, in seconds. For held checks, it includes the waiting time.',
      labels,
      () => all().flatMap(({ labels, requests }) => requests.durations.readings(labels)),
    );
    return (method, route = NO_ROUTE, status, seconds) => {
      const known = METHODS.includes(method) ? method : OTHER_METHOD;
      const byMethod = byRoute.get(route) ?? new Map<string, Requests>();
      const requests = byMethod.get(known) ?? new Requests();
      if (requests.byStatus.size === 0) byRoute.set(route, byMethod.set(known, requests));
      requests.add(status, seconds);
    };
  }

  /** The media type of {@link text}. */
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';

  /** All metrics in the text format of Prometheus. */
  async text(): Promise<string> {
    const ours = this.#metrics.map(async ({ name, type, help, read }) => {
      const readings = await Promise.resolve()
        .then(read)
        .catch(() => []);
      // One line without a number would make the whole text unreadable. Without types, an application can return one.
      const numbers = readings.filter(([, number]) => typeof number === 'number');
      const lines = numbers.map(([labels, number, suffix = '']) => {
        return `${name}${suffix}${labelText(labels)} ${number}\n`;
      });
      const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
      return `# HELP ${name} ${escaped}\n# TYPE ${name} ${type}\n${lines.join('')}`;
    });
    const texts = await Promise.all([...ours, ofProcess().metrics()]);
    return `${texts.join('').trimEnd()}\n`;
  }

  /** Adds a metric that a scrape reads: its numbers, each with its labels. */
  add(
    type: MetricDescription['type'],
    name: string,
    help: string,
    labels: MetricDescription['labels'],
    read: () => Reading[] | Promise<Reading[]>,
  ): void {
    if (this.#metrics.some((metric) => metric.name === name)) {
      throw new Error(`a metric with the name ${name} exists already`);
    }
    this.#metrics.push({ name, type, help, labels, read });
  }
}

/** `{a="1",b="2"}`, or nothing without labels. */
function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
