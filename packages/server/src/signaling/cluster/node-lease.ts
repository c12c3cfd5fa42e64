// The lease of this node: while it holds, this node may act on the seats of its connections; when it is gone, it is gone for good.
//
//   state   │ when                                        │ this node
//   ────────┼─────────────────────────────────────────────┼──────────────────────────────────────────────────────
//   valid   │ renewed, and by both clocks still running   │ acts
//   suspect │ it ran out unnoticed: the process was       │ does nothing with seats until the registry has been
//           │ paused, or the registry is slow             │ asked: that is under way
//   away    │ the registry was asked, and gave no answer  │ keeps what needs no other node, parts the rest, asks on
//
// An answer to a renewal either prolongs the lease, or says that it is lost. Then the node takes a new one, under an id
// that nobody has ever had: others may have counted it among the dead, and the dead do not come back.
import { randomBytes } from 'node:crypto';
import type { Cancel, Clock } from '../../platform/clock.js';
import { Signal } from './serial-queue.js';

/** Keeps the leases of all nodes, by its own clock. Every call may reject when it cannot be reached. */
export interface LeaseRegistry {
  /** Enters a lease under an id that is new. */
  claim(id: string, ttlMs: number): Promise<Leases>;
  /** Prolongs a lease that still runs, and only that. */
  renew(id: string, ttlMs: number): Promise<Leases>;
  release(id: string): Promise<void>;
}

export interface Leases {
  /** The ids of all leases that run. */
  readonly alive: readonly string[];
  /** Until when the one in question does, by the registry's clock. */
  readonly deadline: number;
}

export type LeaseState = 'valid' | 'suspect' | 'away';

export interface LeaseEvents {
  /** The leases that run, as told after the present renewal was asked for. */
  alive(ids: ReadonlySet<string>): void;
  /** The registry gave no answer until the lease had run out. */
  away(): void;
  /** It may act again, after it could not; or acts under a new id from now on. */
  regained(): void;
  /** A request to the registry failed. */
  failed(error: unknown): void;
}

/** Renewals in the life of a lease; each may fail but the last. */
const RENEWALS = 3;
/** Looks at the clock in the life of a lease. */
const LOOKS = 12;
/** An answer of the registry that is older than this says nothing about whether it has lost its data since. */
const FRESH_MS = 100;
/** Part of the lease that is given up, for clocks that do not run alike. */
const MARGIN = 0.1;

/** The process that holds a lease: where its inbox is, whatever happens to the lease. */
export const processOf = (id: string): string => id.slice(0, id.indexOf('.'));

export class NodeLease {
  /** Names this process among all that ever were. */
  readonly processId: string;
  /** Part of the ids of all leases of this process, so that another process with the same id is noticed. */
  readonly #nonce = randomBytes(3).toString('base64url');
  readonly #registry: LeaseRegistry;
  readonly #clock: Clock;
  /** How long a lease runs from its renewal on. */
  readonly ttlMs: number;
  readonly #events: LeaseEvents;
  readonly #stopLooking: Cancel;
  #incarnation = 1;
  #deadline = 0;
  #claimed = false;
  #state: LeaseState = 'suspect';
  #monotonicEnd = Number.NEGATIVE_INFINITY;
  #wallEnd = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #forgottenUntil = Number.NEGATIVE_INFINITY;
  #asking: Promise<boolean> | undefined;
  #alive: ReadonlySet<string> = new Set();
  readonly #decided = new Signal();
  #stopped = false;
  /** Leases lost. */
  losses = 0;
  /** What was left of the lease at the last renewal, in milliseconds: near nothing, it is about to be lost. */
  marginMs = 0;

  constructor(
    registry: LeaseRegistry,
    clock: Clock,
    ttlMs: number,
    events: LeaseEvents,
    processId: string,
  ) {
    this.processId = processId;
    this.#registry = registry;
    this.#clock = clock;
    this.ttlMs = ttlMs;
    this.#events = events;
    this.#stopLooking = clock.every(ttlMs / LOOKS, () => this.#look());
  }

  get id(): string {
    return `${this.processId}.${this.#nonce}.${this.#incarnation}`;
  }

  /** Whether a lease belongs to another process with the id of this one. */
  isDuplicate(id: string): boolean {
    return processOf(id) === this.processId && !id.startsWith(`${this.processId}.${this.#nonce}.`);
  }

  /** Number of the present lease of this process. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** Until when the registry keeps the lease at least, by its own clock. */
  get deadline(): number {
    return this.#deadline;
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** Whether the lease runs, by both clocks: one stands still while a machine sleeps, the other may be set. */
  get holds(): boolean {
    return this.#clock.monotonic() < this.#monotonicEnd && this.#clock.now() < this.#wallEnd;
  }

  /** Whether this node may act on its seats this instant; asked for every message. */
  get acts(): boolean {
    if (this.#state === 'valid' && !this.holds) this.#lapse();
    return this.#state !== 'suspect';
  }

  /** Whether a lease runs, as far as is known. */
  isAlive(id: string): boolean {
    return this.#alive.has(id);
  }

  /** Resolves as soon as the registry has been asked: the lease is valid then, or the registry away. */
  async verdict(): Promise<void> {
    while (!this.acts && !this.#stopped) {
      await this.#decided.next();
    }
  }

  /** Asks the registry now, after what was asked before; resolves to whether it has answered. */
  async ask(): Promise<boolean> {
    await this.#asking;
    return this.#ask();
  }

  /**
   * Whether the registry lost its data less than a lease ago: in that time all nodes notice, and enter again who sits.
   * Asks the registry, at most ten times a second.
   */
  async isAfterLoss(): Promise<boolean> {
    if (this.#clock.monotonic() - this.#answeredAt > FRESH_MS) await this.ask();
    return this.#clock.monotonic() < this.#forgottenUntil;
  }

  /** Gives the lease up: whatever stands under it is void. */
  abandon(): void {
    this.#void();
    this.#lapse();
  }

  /** Ends: no more renewals. Where it is told to the registry, others need not wait for the lease to run out. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopLooking();
    this.#monotonicEnd = Number.NEGATIVE_INFINITY;
    this.#state = 'suspect';
    this.#decided.fire();
    await this.#asking;
    if (this.#claimed) await this.#registry.release(this.id);
  }

  /** To be called when the registry can be reached again. */
  readonly hurry = (): void => {
    if (this.#state !== 'valid') void this.#ask();
  };

  #look(): void {
    if (this.acts && this.#state === 'valid') {
      const dueMs = this.ttlMs / RENEWALS;
      if (this.#clock.monotonic() - this.#askedAt < dueMs) return;
    }
    void this.#ask();
  }

  #lapse(): void {
    this.#state = 'suspect';
    void this.#ask();
  }

  #ask(): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false);
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askOnce(): Promise<boolean> {
    const wasClaimed = this.#claimed;
    const id = this.id;
    const monotonic = this.#clock.monotonic();
    const wall = this.#clock.now();
    this.#askedAt = monotonic;
    let alive: ReadonlySet<string>;
    let deadline: number;
    try {
      const method = wasClaimed ? 'renew' : 'claim';
      const leases = await this.#registry[method](id, this.ttlMs);
      alive = new Set(leases.alive);
      deadline = leases.deadline;
    } catch (error) {
      this.#events.failed(error);
      // Ask again at the next look at the clock, not when the next renewal is due.
      this.#askedAt = Number.NEGATIVE_INFINITY;
      if (!this.holds) this.#goAway();
      return false;
    }
    if (this.#stopped || id !== this.id) return false;
    this.#answeredAt = monotonic;
    if (!alive.has(id)) {
      // By both clocks it still ran.
      if (wasClaimed && this.holds) this.#forgottenUntil = monotonic + this.ttlMs;
      this.losses += 1;
      this.#void();
      this.#state = 'suspect';
      return this.#askOnce();
    }
    this.marginMs = wasClaimed ? Math.max(0, this.#monotonicEnd - monotonic) : this.ttlMs;
    this.#claimed = true;
    const runMs = this.ttlMs * (1 - MARGIN);
    this.#monotonicEnd = monotonic + runMs;
    this.#wallEnd = wall + runMs;
    this.#deadline = deadline;
    this.#alive = alive;
    this.#events.alive(alive);
    // An answer that took longer than the lease says only what was.
    if (!this.holds) return this.#askOnce();
    this.#settle(wasClaimed);
    return true;
  }

  #settle(renewed: boolean): void {
    const regained = this.#state !== 'valid' || !renewed;
    this.#state = 'valid';
    if (regained) this.#events.regained();
    this.#decided.fire();
  }

  #goAway(): void {
    if (this.#state === 'away' || this.#stopped) return;
    this.#state = 'away';
    this.#events.away();
    this.#decided.fire();
  }

  /** The present lease is none any more. */
  #void(): void {
    this.#claimed = false;
    this.#incarnation += 1;
    this.#monotonicEnd = Number.NEGATIVE_INFINITY;
  }
}
