// Limits the load that one address may cause: charges fixed costs to its budget, then delays or refuses its work.
//
//   charge ──► spent in this turn > slice ──► held until the next turn       (bounds each turn of the event loop)
//   turn ends ──► level > burst ──► held until enough has leaked away        (bounds the load per second)
//
// While an address is held, its readers keep the bytes that they have, read no further, and wait here. Costs are constants
// and not measured, so that a slow server does not charge clients more.
import type { Cancel, Clock } from '../base/clock.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { Config } from '../settings/config.js';
import type { Stalls } from './event-loop-stalls.js';
import { LeakyBucket } from './leaky-bucket.js';

/** Nominal costs of operations, in microseconds: about their processing time on one core of a small server, rounded up. */
export const COST = {
  /** Opening and closing a TCP connection. */
  connection: 150,
  /** One read from a socket, of any size. */
  read: 5,
  /** Malformed bytes. */
  malformed: 50,
  /** Parsing a request, without answering it. */
  parsed: 10,
  /** One name or value in its header. */
  headerPart: 0.25,
  /** Routing, checks, log line, metrics and answer of a request. */
  request: 150,
  /** One byte of a body: decoding, scan, JSON, schema, hash for the Idempotency-Key. */
  bodyByte: 0.012,
  /** One byte of a chunked body as sent. A chunk, which is one callback of the parser, can be as small as six bytes. */
  chunkedByte: 0.6,
  answerByte: 0.005,
  /** GET /metrics or GET /rooms. */
  scrape: 4000,
  /** One id of a purge, in the database thread. */
  purgedId: 5,
  /** An opening handshake and its connection. */
  upgrade: 250,
  /** Forwarding a WebSocket message. */
  message: 5,
  messageByte: 0.005,
  /** Additional cost of a message that is parsed completely, and of each of its bytes. */
  parsedMessage: 10,
  parsedMessageByte: 0.01,
  /** Joining or leaving a room, with the store access and the messages to peers. */
  membership: 100,
} as const;

/** Seconds of the budget that one address may spend in one turn of the event loop before others continue; 4 ms by default. */
const SLICE_SECONDS = 0.016;

/** Lower bound of the spending in one turn for small budgets, in microseconds. */
const MIN_SLICE = 1000;

/** Seconds of the budget that may be spent in a burst, such as when an office reconnects. */
const BURST_SECONDS = 1;

/** Maximum debt beyond the burst, in seconds of the budget. No client waits longer than this after a flood has ended. */
const MAX_DEBT_SECONDS = 2;

/** An address is released only when this many milliseconds of its budget have leaked, to avoid frequent timers. */
const REST_MS = 50;

/** Maximum number of addresses in memory, in addition to those with a connection. */
const MAX_ADDRESSES = 100_000;

const MINUTE_MS = 60_000;

/** Longest time that a request waits, in milliseconds. Then it is answered 429. */
const MAX_WAIT_MS = 2000;

/** A socket that waits with the bytes that it has read. */
export interface Reader {
  /** Continues until the budget is held again. */
  release(): void;
  /** Refuses a request that has waited too long, and returns whether there was one. Absent if nothing can be refused. */
  refuse?(): boolean;
}

interface Waiting {
  reader: Reader;
  since: number;
}

/** The budget of one address. Its connections keep a reference, so that messages need no lookup. */
export class AddressBudget extends LeakyBucket {
  /** The key under which limits count the address. */
  readonly address: string;
  /** TCP connections open now. */
  sockets = 0;
  /** WebSocket connections open now. */
  connections = 0;
  /** Whether readers must stop reading and wait. */
  held = false;
  readonly #owner: AddressBudgets;
  readonly #limited: boolean;
  readonly #slice: number;
  #spent = 0;
  #urgent: Waiting[] = [];
  #waiting: Waiting[] = [];
  #active = false;
  #wake: Cancel | undefined;
  #lines = 0;
  #linesSince = 0;

  constructor(address: string, owner: AddressBudgets) {
    const now = owner.now();
    super(owner.perMs, now, owner.stalledMs(now));
    this.address = address;
    this.#owner = owner;
    this.#limited = owner.limited;
    this.#slice = owner.slice;
  }

  /** Counts a WebSocket connection. */
  connected(): void {
    this.connections += 1;
    this.#owner.connections += 1;
  }

  disconnected(): void {
    this.connections -= 1;
    this.#owner.connections -= 1;
  }

  /** Charges a cost, in microseconds: see {@link COST}. */
  charge(cost: number): void {
    if (!this.#limited) return;
    if (!this.#active) this.#activate();
    this.#spent += cost;
    if (this.#spent > this.#slice) this.held = true;
  }

  /** Whether the budget is used up, so that requests are refused. */
  get exhausted(): boolean {
    return this.#limited && this.#leak() + this.#spent > this.#owner.burst;
  }

  /** Whether the debt is so high that connections are closed without an answer. */
  get inDebt(): boolean {
    const { burst, maxLevel } = this.#owner;
    return this.#limited && this.#leak() + this.#spent > (burst + maxLevel) / 2;
  }

  /**
   * Adds a reader to the end of the queue.
   *
   * @param isUrgent - whether it is in the middle of a request. Such requests are finished before others begin.
   */
  wait(reader: Reader, isUrgent = false): void {
    const queue = isUrgent ? this.#urgent : this.#waiting;
    queue.push({ reader, since: this.#owner.now() });
    if (!this.#active) this.#activate();
  }

  /** Whether a log line of level info for this address may be written. Counts the dropped lines. */
  mayLog(): boolean {
    const { now, maxLines } = this.#owner;
    const at = now();
    if (at - this.#linesSince > MINUTE_MS) {
      this.#linesSince = at;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= maxLines) return true;
    this.#owner.linesLeftOut += 1;
    return false;
  }

  /** Whether the address has no state that must be kept. */
  get idle(): boolean {
    const isUsed = this.sockets + this.connections + this.#urgent.length + this.#waiting.length > 0;
    if (isUsed || this.#active) return false;
    const hasLogged = this.#lines > 0 && this.#owner.now() - this.#linesSince <= MINUTE_MS;
    return !hasLogged && this.#leak() <= 0;
  }

  /** Decides at the end of a turn whether readers may continue. Called by the owner. */
  settle(): void {
    this.#active = false;
    const { burst, maxLevel, perMs } = this.#owner;
    const level = Math.min(this.#leak() + this.#spent, maxLevel);
    this.level = level;
    this.#spent = 0;
    if (this.#limited && level > burst) {
      this.held = true;
      this.#refuseLate();
      this.#wake ??= this.#owner.after(
        Math.min((level - burst) / perMs + REST_MS, MAX_WAIT_MS),
        () => {
          this.#wake = undefined;
          if (!this.#active) this.#activate();
        },
      );
      return;
    }
    this.held = false;
    const [urgent, waiting] = [this.#urgent, this.#waiting];
    this.#urgent = [];
    this.#waiting = [];
    // Readers that wait again meanwhile are behind the others.
    this.#urgent.unshift(...this.#release(urgent));
    this.#waiting.unshift(...this.#release(waiting));
    if (this.#urgent.length + this.#waiting.length > 0 && !this.#active) this.#activate();
  }

  /** Releases readers until the budget is held, and returns the others. */
  #release(readers: readonly Waiting[]): readonly Waiting[] {
    let released = 0;
    while (released < readers.length && !this.held) {
      (readers[released++] as Waiting).reader.release();
    }
    return readers.slice(released);
  }

  /** Refuses requests after MAX_WAIT_MS, because a longer wait would look like a server that does not answer. */
  #refuseLate(): void {
    const late = this.#owner.now() - MAX_WAIT_MS;
    if ((this.#waiting[0]?.since ?? late) >= late) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    const left = waiting.filter(({ reader, since }) => since > late || !reader.refuse?.());
    this.#waiting = [...left, ...this.#waiting];
  }

  stop(): void {
    this.#wake?.();
  }

  #leak(): number {
    const now = this.#owner.now();
    return this.leak(now, this.#owner.stalledMs(now));
  }

  #activate(): void {
    this.#active = true;
    this.#owner.activate(this);
  }
}

export interface AddressBudgetDeps {
  config: Pick<Config, 'maxLoadPerAddress' | 'maxLogLinesPerAddress'>;
  /** A clock of real time, because the budget measures how fast clients send. */
  clock: Clock;
  stalls: Pick<Stalls, 'total'>;
  log: Logger;
  /** Calls back after all available data of this turn of the event loop is read. */
  turnEnd?: (callback: () => void) => void;
}

/** The budgets of all addresses. */
export class AddressBudgets {
  readonly limited: boolean;
  /** Leak per millisecond, in microseconds of cost. */
  readonly perMs: number;
  readonly slice: number;
  readonly burst: number;
  readonly maxLevel: number;
  readonly maxLines: number;
  /** WebSocket connections of all addresses. */
  connections = 0;
  /** Requests and opening handshakes that were refused because the budget of their address was used up. */
  refused = 0;
  /** Lines that were dropped since the last report. */
  linesLeftOut = 0;
  readonly #clock: Clock;
  readonly #stalls: Pick<Stalls, 'total'>;
  readonly #turnEnd: (callback: () => void) => void;
  readonly #byAddress = new Map<string, AddressBudget>();
  #active: AddressBudget[] = [];
  readonly #stopSums: Cancel;
  #refusedInSum = 0;
  #heldTurns = 0;

  constructor({ config, clock, stalls, log, turnEnd = setImmediate }: AddressBudgetDeps) {
    // Milliseconds per second are the same as microseconds per millisecond.
    this.perMs = config.maxLoadPerAddress;
    this.limited = config.maxLoadPerAddress > 0;
    this.slice = Math.max(MIN_SLICE, this.perMs * SLICE_SECONDS * 1000);
    this.burst = this.perMs * BURST_SECONDS * 1000;
    this.maxLevel = this.burst + this.perMs * MAX_DEBT_SECONDS * 1000;
    this.maxLines = config.maxLogLinesPerAddress;
    this.#clock = clock;
    this.#stalls = stalls;
    this.#turnEnd = turnEnd;
    this.#stopSums = clock.every(MINUTE_MS, () => this.#sumUp(log));
  }

  get size(): number {
    return this.#byAddress.size;
  }

  /** Returns the budget for the key of an address. */
  of(address: string): AddressBudget {
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    const budget = new AddressBudget(address, this);
    this.#forget();
    this.#byAddress.set(address, budget);
    return budget;
  }

  readonly now = (): number => this.#clock.monotonic();

  stalledMs(now: number): number {
    return this.#stalls.total(now);
  }

  after(delayMs: number, callback: () => void): Cancel {
    return this.#clock.after(delayMs, callback);
  }

  /** Makes the budget settle at the end of this turn. */
  activate(budget: AddressBudget): void {
    this.#active.push(budget);
    if (this.#active.length > 1) return;
    this.#turnEnd(() => {
      const active = this.#active;
      this.#active = [];
      for (const each of active) {
        each.settle();
        if (each.held) this.#heldTurns += 1;
      }
    });
  }

  measure(metrics: Metrics): void {
    metrics.count(
      'couplet_address_budget_refusals_total',
      'Requests and opening handshakes answered 429 because their address had used up MAX_LOAD_PER_ADDRESS.',
      () => this.refused,
    );
    metrics.count(
      'couplet_address_budget_waits_total',
      'Turns of the event loop at whose end reading from an address was suspended because of MAX_LOAD_PER_ADDRESS.',
      () => this.#heldTurns,
    );
  }

  stop(): void {
    this.#stopSums();
    for (const budget of this.#byAddress.values()) budget.stop();
  }

  /** Logs the numbers of dropped lines and refused requests, without addresses. */
  #sumUp(log: Logger): void {
    const refused = this.refused - this.#refusedInSum;
    this.#refusedInSum = this.refused;
    const lines = this.linesLeftOut;
    this.linesLeftOut = 0;
    if (lines > 0) {
      log.info({ lines }, 'log lines dropped: their addresses exceeded MAX_LOG_LINES_PER_ADDRESS');
    }
    if (refused > 0) {
      log.warn({ refused }, 'requests answered 429: their addresses exceeded MAX_LOAD_PER_ADDRESS');
    }
  }

  /** Removes idle budgets. Checks only a few of the oldest for each new one, so that no call takes long. */
  #forget(): void {
    let remaining = 4;
    for (const [address, budget] of this.#byAddress) {
      if (remaining-- === 0) return;
      const isCrowded = this.#byAddress.size >= MAX_ADDRESSES;
      const isUsed = budget.sockets + budget.connections > 0 || budget.held;
      this.#byAddress.delete(address);
      if (!budget.idle && (isUsed || !isCrowded)) this.#byAddress.set(address, budget);
    }
  }
}
