// ready → announced → draining: what a shutdown turns away, and what the probes say.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../observability/metrics.js';
import { sendError } from './errors.js';

/** Something without which the server cannot do its work. */
export interface ReadinessCheck {
  readonly name: string;
  /** Rejects when it is not ready. */
  check(): Promise<void>;
}

/** How long the event loop was held up (`monitorEventLoopDelay` of Node is one). */
export interface LoopDelay {
  /** The longest delay since the last reset, in nanoseconds. */
  readonly max: number;
  reset(): void;
  enable(): void;
  disable(): void;
}

/** An event loop that was held up for longer than this, in milliseconds, since the last probe is not ready. */
const MAX_LOOP_DELAY_MS = 1000;

/** A readiness answer is good for this long: probing costs a durable write, and anyone may probe. */
const PROBE_EVERY_MS = 1000;

export class Lifecycle {
  #announced = false;
  #draining = false;
  readonly #checks: ReadinessCheck[] = [];
  readonly #notes: (() => string | undefined)[] = [];
  readonly #delay: LoopDelay;
  #probed: { at: number; failing: Promise<string[]> } | undefined;

  constructor(delay: LoopDelay = monitorEventLoopDelay({ resolution: 20 })) {
    this.#delay = delay;
    delay.enable();
  }

  require(check: ReadinessCheck): void {
    this.#checks.push(check);
  }

  /** Adds a remark to the answer of a server that is ready, while there is one. */
  remark(note: () => string | undefined): void {
    this.#notes.push(note);
  }

  /** From now on readiness is red, and everything is served as before: a load balancer has time to look elsewhere. */
  announce(): void {
    this.#announced = true;
  }

  /** From now on: readiness is red, and requests that are not under way are turned away. */
  drain(): void {
    this.#announced = true;
    this.#draining = true;
  }

  stop(): void {
    this.#delay.disable();
  }

  /** Names of what is not ready; none: the server is. */
  async failing(): Promise<string[]> {
    if (this.#announced) return ['draining'];
    const now = performance.now();
    if (this.#probed === undefined || now - this.#probed.at > PROBE_EVERY_MS) {
      this.#probed = { at: now, failing: this.#probe() };
    }
    return this.#probed.failing;
  }

  async #probe(): Promise<string[]> {
    const failing: string[] = [];
    if (this.#delay.max / 1e6 > MAX_LOOP_DELAY_MS) failing.push('event_loop');
    this.#delay.reset();
    for (const { name, check } of this.#checks) {
      await check().catch(() => failing.push(name));
    }
    return failing;
  }

  /** Each reason not to be ready, as a level: 1 while it is no obstacle. */
  measure(metrics: Metrics): void {
    const checks = ['draining', 'event_loop', ...this.#checks.map(({ name }) => name)];
    metrics.levels(
      'couplet_ready',
      '0 while this is why the server is not ready; what GET /readyz says.',
      'check',
      checks,
      async () => {
        const failing = await this.failing();
        return Object.fromEntries(checks.map((name) => [name, failing.includes(name) ? 0 : 1]));
      },
    );
  }

  /** GET /healthz: the process answers. GET /readyz: it can do its work; 503 names what it lacks. */
  routes(app: FastifyInstance): void {
    app.addHook('onRequest', (request, reply, done) => {
      if (!this.#draining || PROBES.has(request.routeOptions.url ?? '')) return done();
      // No fault to log: every rolling update would cry that the store is unavailable.
      sendError(reply.header('connection', 'close'), 'unavailable');
    });
    app.addHook('onSend', (_request, reply, _payload, done) => {
      // Kept open after its answer, a connection that was busy when the shutdown began would hold it up.
      if (this.#draining) reply.header('connection', 'close');
      done();
    });
    app.get('/healthz', { schema: { hide: true } }, async () => ({ status: 'ok' }));
    app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
      const failing = await this.failing();
      if (failing.length === 0) {
        const notes = this.#notes.map((note) => note()).filter((note) => note !== undefined);
        return { status: 'ready', ...(notes.length > 0 ? { notes } : {}) };
      }
      return sendError(reply, 'unavailable', { details: `not ready: ${failing.join(', ')}` });
    });
  }
}

const PROBES = new Set(['/healthz', '/readyz', '/metrics']);
