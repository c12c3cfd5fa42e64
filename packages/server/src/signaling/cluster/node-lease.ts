// Keeps the lease of this node, which allows it to act on the seats of its connections. docs/cluster.md has its states.
//
// An expired lease is never renewed, because other nodes may have given its seats away. The node takes one with a new id.
import { randomBytes } from 'node:crypto';
import type { Cancel, Clock } from '../../base/clock.js';

/** Keeps the leases of all nodes, by its own clock. Every call rejects if it is unreachable. */
export interface LeaseRegistry {
  /** Extends a lease if it has not expired, or adds a new one. */
  hold(id: string, ttlMs: number, isNew: boolean): Promise<Leases>;
  release(id: string): Promise<void>;
}

export interface Leases {
  /** The ids of all valid leases. */
  readonly alive: readonly string[];
  /** The expiry of this lease, by the clock of the registry. */
  readonly deadline: number;
}

export const LEASE_STATES = ['valid', 'suspect', 'away'] as const;

/** Renewals in the life of a lease. */
const RENEWALS = 3;
/** Checks of the clocks in the life of a lease. */
const CHECKS = 12;
/** Before a join, the registry is asked if its last answer is older than this. */
const FRESH_MS = 100;
/** Unused part of the lease, because clocks differ in speed. */
const MARGIN = 0.1;

const NEVER = Number.NEGATIVE_INFINITY;

/** The process that holds a lease; its channel has the same name under every lease. */
export const processOf = (id: string): string => id.slice(0, id.indexOf('.'));

export interface LeaseDeps {
  /** The unique id of this process, never reused. */
  processId: string;
  registry: LeaseRegistry;
  clock: Clock;
  ttlMs: number;
  /** Called at an answer of the registry. `gone`: the leases that have ended since its last answer. */
  onAnswer(gone: readonly string[]): void;
  /** Called when the lease expired without an answer of the registry. */
  onAway(): void;
  /** Called when the node may act again, or acts under a new id. */
  onRegained(): void;
  /** Called when a request to the registry failed. */
  onError(error: unknown): void;
}

export class NodeLease {
  readonly processId: string;
  readonly ttlMs: number;
  readonly #deps: LeaseDeps;
  readonly #stopChecks: Cancel;
  /** Its random part reveals another process with the id of this one. */
  readonly #prefix: string;
  /** The present lease id. The node takes a new one after each loss. */
  id: string;
  state: (typeof LEASE_STATES)[number] = 'suspect';
  /** The valid leases, by the last answer of the registry. */
  alive: ReadonlySet<string> = new Set();
  /** The earliest end of the lease by the clock of the registry. */
  deadline = 0;
  /** Number of leases lost. */
  losses = 0;
  /** Milliseconds left of the lease at its last renewal. */
  marginMs = 0;
  /** All times are by the monotonic clock, except `#wallEnd`. Without a lease, it ended long ago. */
  #monotonicEnd = NEVER;
  #wallEnd = NEVER;
  /** When the last answered request was made. */
  #answeredAt = NEVER;
  #forgottenUntil = NEVER;
  #asking: Promise<boolean> | undefined;
  #stopped = false;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
    this.processId = deps.processId;
    this.ttlMs = deps.ttlMs;
    this.#prefix = `${deps.processId}.${randomBytes(3).toString('base64url')}.`;
    this.id = `${this.#prefix}1`;
    this.#stopChecks = deps.clock.every(deps.ttlMs / CHECKS, () => this.#check());
  }

  /** The processes with a valid lease, by the last answer of the registry. */
  get processes(): ReadonlySet<string> {
    return new Set([...this.alive].map(processOf));
  }

  /** Whether another process has a lease under the id of this one. */
  get isDuplicated(): boolean {
    const isOurs = (id: string) => id.startsWith(this.#prefix);
    return [...this.alive].some((id) => processOf(id) === this.processId && !isOurs(id));
  }

  /** Whether the lease is valid by both clocks: one stops while the machine sleeps, the other may be set. */
  get holds(): boolean {
    const { clock } = this.#deps;
    return clock.monotonic() < this.#monotonicEnd && clock.now() < this.#wallEnd;
  }

  /** Whether the node may act, or has to act alone: the registry does not answer. */
  get acts(): boolean {
    if (this.state === 'valid' && !this.holds) {
      this.state = 'suspect';
      void this.#ask();
    }
    return this.state !== 'suspect';
  }

  /** Resolves when the state is `valid` or `away`, or after `stop`. */
  async verdict(): Promise<void> {
    while (!this.acts && !this.#stopped) await this.#ask();
  }

  /** Asks the registry, after any request in progress; resolves to whether it answered. */
  async ask(): Promise<boolean> {
    await this.#asking;
    return this.#ask();
  }

  /** Whether the registry lost its data less than a lease ago; nodes enter their members again in that time. */
  async isAfterLoss(): Promise<boolean> {
    if (this.#deps.clock.monotonic() - this.#answeredAt > FRESH_MS) await this.ask();
    return this.#deps.clock.monotonic() < this.#forgottenUntil;
  }

  /** Ends the renewals and releases the lease, so other nodes need not wait for its expiry. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopChecks();
    this.state = 'suspect';
    await this.#asking;
    if (this.#monotonicEnd !== NEVER) await this.#deps.registry.release(this.id);
  }

  /** To be called when the registry is reachable again. */
  readonly hurry = (): void => {
    if (this.state !== 'valid') void this.#ask();
  };

  #check(): void {
    // Without an answer, the next check asks again.
    const isDue = this.#deps.clock.monotonic() - this.#answeredAt >= this.ttlMs / RENEWALS;
    if (!this.acts || this.state !== 'valid' || isDue) void this.#ask();
  }

  #ask(): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false);
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askOnce(): Promise<boolean> {
    const wasClaimed = this.#monotonicEnd !== NEVER;
    const id = this.id;
    const monotonic = this.#deps.clock.monotonic();
    const wall = this.#deps.clock.now();
    let leases: Leases;
    try {
      leases = await this.#deps.registry.hold(id, this.ttlMs, !wasClaimed);
    } catch (error) {
      this.#deps.onError(error);
      // A lease that was suspect is not trusted again only because the wall clock was set back.
      const isOver = this.state === 'suspect' || !this.holds;
      if (isOver && this.state !== 'away' && !this.#stopped) {
        this.state = 'away';
        this.#deps.onAway();
      }
      return false;
    }
    if (this.#stopped) return false;
    this.#answeredAt = monotonic;
    const alive = new Set(leases.alive);
    if (!alive.has(id)) {
      // The lease had not expired, so the registry has lost its data.
      if (wasClaimed && this.holds) this.#forgottenUntil = monotonic + this.ttlMs;
      this.state = 'suspect';
      this.losses += 1;
      this.id = `${this.#prefix}${this.losses + 1}`;
      this.#monotonicEnd = NEVER;
      return this.#askOnce();
    }
    this.marginMs = wasClaimed ? Math.max(0, this.#monotonicEnd - monotonic) : this.ttlMs;
    const runMs = this.ttlMs * (1 - MARGIN);
    this.#monotonicEnd = monotonic + runMs;
    this.#wallEnd = wall + runMs;
    this.deadline = leases.deadline;
    const gone = [...this.alive].filter((known) => !alive.has(known));
    this.alive = alive;
    this.#deps.onAnswer(gone);
    // The answer took longer than the lease.
    if (!this.holds) return this.#askOnce();
    const isRegained = this.state !== 'valid' || !wasClaimed;
    this.state = 'valid';
    if (isRegained) this.#deps.onRegained();
    return true;
  }
}
