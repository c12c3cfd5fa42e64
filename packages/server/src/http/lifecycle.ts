// Implements the states ready → announced → draining, and the probe endpoints.
import type { FastifyInstance } from 'fastify';
import type { Stalls } from '../limits/event-loop-stalls.js';
import type { Metrics } from '../observability/metrics.js';
import { sendError } from './errors.js';

/** A condition without which the server is not ready. */
export interface ReadinessCheck {
  readonly name: string;
  /** Rejects if the condition does not hold. */
  check(): Promise<void>;
}

/** The server is not ready if the event loop was blocked for longer than this since the last probe, in milliseconds. */
const MAX_LOOP_DELAY_MS = 1000;

/** How long a readiness answer is reused. A probe costs a durable write, and any client may probe. */
const PROBE_EVERY_MS = 1000;

export class Lifecycle {
  /** Whether a shutdown has begun. The server is then not ready, but serves everything, so that load balancers stop first. */
  isAnnounced = false;
  /** Whether new requests are refused. Answers then close their connections. */
  isDraining = false;
  readonly #checks: ReadinessCheck[] = [];
  readonly #notes: (() => string | undefined)[] = [];
  readonly #stalls: Pick<Stalls, 'takeLongest'>;
  #probed: { at: number; failing: Promise<string[]> } | undefined;

  constructor(stalls: Pick<Stalls, 'takeLongest'>) {
    this.#stalls = stalls;
  }

  require(check: ReadinessCheck): void {
    this.#checks.push(check);
  }

  /** Adds a note to the answer while the server is ready and `note` returns one. */
  remark(note: () => string | undefined): void {
    this.#notes.push(note);
  }

  /** Returns the names of the checks that fail; empty if the server is ready. */
  async failing(): Promise<string[]> {
    if (this.isAnnounced) return ['draining'];
    const now = performance.now();
    if (this.#probed === undefined || now - this.#probed.at > PROBE_EVERY_MS) {
      this.#probed = { at: now, failing: this.#probe() };
    }
    return this.#probed.failing;
  }

  async #probe(): Promise<string[]> {
    const failing: string[] = [];
    if (this.#stalls.takeLongest() > MAX_LOOP_DELAY_MS) failing.push('event_loop');
    for (const { name, check } of this.#checks) {
      await check().catch(() => failing.push(name));
    }
    return failing;
  }

  /** Adds one gauge for each check: 1 while it passes. */
  measure(metrics: Metrics): void {
    const checks = ['draining', 'event_loop', ...this.#checks.map(({ name }) => name)];
    metrics.levels(
      'couplet_ready',
      '1 while a check of GET /readyz passes, 0 while it fails and the server is not ready.',
      'check',
      checks,
      async () => {
        const failing = await this.failing();
        return Object.fromEntries(checks.map((name) => [name, failing.includes(name) ? 0 : 1]));
      },
    );
  }

  /** GET /healthz: the process answers. GET /readyz: the server is ready; a 503 names the checks that fail. */
  routes(app: FastifyInstance): void {
    // A start may block the event loop for more than a second on a slow machine.
    app.addHook('onReady', async () => void this.#stalls.takeLongest());
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
