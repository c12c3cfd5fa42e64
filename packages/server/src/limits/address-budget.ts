// One budget per address over everything it causes: fixed costs in, the order to wait or to be refused out.
//
//   charge ──► spent in this turn > slice ──► held until the next turn       (no turn of the event loop gets long)
//   turn ends ──► level > burst ──► held until enough has leaked away        (no second gets full)
//
// Held: what reads from the address keeps what it has read, reads no further, and waits here for its turn. Costs are
// constants and never measured, so that a slow server charges nobody for its slowness.
import type { Cancel, Clock } from '../base/clock.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { Config } from '../settings/config.js';
import type { Stalls } from './event-loop-stalls.js';
import { LeakyBucket } from './leaky-bucket.js';

/** What things cost the event loop, in microseconds, rounded up: about what they take on one core of a small server. */
export const COST = {
  /** A TCP connection, with its end. */
  connection: 150,
  /** One read from a socket, however little it brings. */
  read: 5,
  /** Bytes that are no request. */
  malformed: 50,
  /** A request as the parser makes it, without an answer. */
  parsed: 10,
  /** A name or a value of its header. */
  headerPart: 0.25,
  /** Routing, checks, log line, metrics and answer of a request. */
  request: 150,
  /** A byte of a body: decoding, the scan, JSON, the schema, the hash of its Idempotency-Key. */
  bodyByte: 0.012,
  /** A byte of a chunked body, as it is sent: six of them can be a chunk, for which the parser calls back. */
  chunkedByte: 0.6,
  answerByte: 0.005,
  /** A scrape of GET /metrics, or the list of GET /rooms. */
  scrape: 4000,
  /** An id of a purge, in the thread of the database. */
  purgedId: 5,
  /** An opening handshake, and the connection that comes of it. */
  upgrade: 250,
  /** A WebSocket frame, forwarded. */
  message: 5,
  messageByte: 0.005,
  /** What it costs more where the message is parsed in full, and a byte of it. */
  parsedMessage: 10,
  parsedMessageByte: 0.01,
  /** Joining or leaving a room: the store is asked, and peers are told. */
  membership: 100,
} as const;

/** Seconds' worth of the budget that may be spent in one turn of the event loop; then the others get theirs. By default 4 ms. */
const SLICE_SECONDS = 0.016;

/** Least that may be spent in one turn, in microseconds, however small the budget is. */
const MIN_SLICE = 1000;

/** Seconds' worth of the budget that may come at once: an office that is back on the network, say. */
const BURST_SECONDS = 1;

/** Debt beyond the burst is forgiven down to this many seconds' worth: nobody waits longer after a flood has ended. */
const MAX_DEBT_SECONDS = 2;

/** An address that was held is let go when this many milliseconds' worth of its budget have leaked, not at each microsecond. */
const REST_MS = 50;

/** Addresses that are remembered at most, beside those with a connection. */
const MAX_ADDRESSES = 100_000;

const MINUTE_MS = 60_000;

/** Longest that a request waits for its turn, in milliseconds: then its client is told to come back. */
const MAX_WAIT_MS = 2000;

/** What was told to wait: a socket that keeps what it has read. */
export interface Reader {
  /** Goes on, until the budget is held again. */
  release(): void;
  /** Refuses what has waited too long; absent where nothing can be refused. Returns whether there was anything. */
  refuse?(): boolean;
}

interface Waiting {
  reader: Reader;
  since: number;
}

/** The budget of one address. Everything that serves the address has it at hand: nothing is looked up per message. */
export class AddressBudget {
  /** What limits count the address as. */
  readonly address: string;
  /** TCP connections open now. */
  sockets = 0;
  /** WebSocket connections open now. */
  connections = 0;
  /** Whether readers are to keep what they have, and wait. */
  held = false;
  readonly #owner: AddressBudgets;
  readonly #limited: boolean;
  readonly #slice: number;
  readonly #bucket: LeakyBucket;
  #spent = 0;
  #urgent: Waiting[] = [];
  #waiting: Waiting[] = [];
  #active = false;
  #wake: Cancel | undefined;
  #lines = 0;
  #linesSince = 0;

  constructor(address: string, owner: AddressBudgets, bucket: LeakyBucket) {
    this.address = address;
    this.#owner = owner;
    this.#limited = owner.limited;
    this.#slice = owner.slice;
    this.#bucket = bucket;
  }

  /** Takes note of a cost, in microseconds: see {@link COST}. */
  charge(cost: number): void {
    if (!this.#limited) return;
    if (!this.#active) this.#activate();
    this.#spent += cost;
    if (this.#spent > this.#slice) this.held = true;
  }

  /** Whether a request is to be refused: the budget is used up. */
  get exhausted(): boolean {
    return this.#limited && this.#leak() + this.#spent > this.#owner.burst;
  }

  /** Whether not even a refusal is due any more. */
  get inDebt(): boolean {
    const { burst, maxLevel } = this.#owner;
    return this.#limited && this.#leak() + this.#spent > (burst + maxLevel) / 2;
  }

  /**
   * Lets a reader wait for its turn, behind those that wait already.
   *
   * @param isUrgent - whether it is in the middle of a request, which is finished before others are begun
   */
  wait(reader: Reader, isUrgent = false): void {
    const queue = isUrgent ? this.#urgent : this.#waiting;
    queue.push({ reader, since: this.#owner.now() });
    if (!this.#active) this.#activate();
  }

  /** Whether a line of level info that this address causes may be logged; counts those that may not. */
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

  /** Whether nothing is to be remembered of the address. */
  get idle(): boolean {
    const isUsed = this.sockets + this.connections + this.#urgent.length + this.#waiting.length > 0;
    if (isUsed || this.#active) return false;
    const hasLogged = this.#lines > 0 && this.#owner.now() - this.#linesSince <= MINUTE_MS;
    return !hasLogged && this.#leak() <= 0;
  }

  /** The end of a turn: whether it may go on. Called by the owner. */
  settle(): void {
    this.#active = false;
    const { burst, maxLevel, perMs } = this.#owner;
    const level = Math.min(this.#leak() + this.#spent, maxLevel);
    this.#bucket.level = level;
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
    // What waits again meanwhile goes to the end.
    this.#urgent.unshift(...this.#release(urgent));
    this.#waiting.unshift(...this.#release(waiting));
    if (this.#urgent.length + this.#waiting.length > 0 && !this.#active) this.#activate();
  }

  /** Lets readers go on until the budget is held; returns those whose turn has not come. */
  #release(readers: readonly Waiting[]): readonly Waiting[] {
    let released = 0;
    while (released < readers.length && !this.held) {
      (readers[released++] as Waiting).reader.release();
    }
    return readers.slice(released);
  }

  /** Waiting longer would look like a server that does not answer. */
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
    return this.#bucket.leak(now, this.#owner.stalledMs(now));
  }

  #activate(): void {
    this.#active = true;
    this.#owner.activate(this);
  }
}

export interface AddressBudgetDeps {
  config: Pick<Config, 'maxLoadPerAddress' | 'maxLogLinesPerAddress'>;
  /** Of real time: what it measures is how fast clients send. */
  clock: Clock;
  stalls: Pick<Stalls, 'total'>;
  log: Logger;
  /** Calls back once what was ready in this turn of the event loop has been read. */
  turnEnd?: (callback: () => void) => void;
}

/** The budgets of all addresses. */
export class AddressBudgets {
  readonly limited: boolean;
  /** What leaks in a millisecond, in microseconds. */
  readonly perMs: number;
  readonly slice: number;
  readonly burst: number;
  readonly maxLevel: number;
  readonly maxLines: number;
  /** Requests and opening handshakes refused because their address had used up its budget. */
  refused = 0;
  /** Lines that were counted instead of logged, since the last sum. */
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
    // Milliseconds of cost in a second are microseconds of cost in a millisecond.
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

  /** The budget of an address, by its key. */
  of(address: string): AddressBudget {
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    const now = this.now();
    const bucket = new LeakyBucket(this.perMs, now, this.stalledMs(now));
    const budget = new AddressBudget(address, this, bucket);
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

  /** Settles a budget at the end of this turn. */
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
      'Turns of the event loop after which an address was not read further because of MAX_LOAD_PER_ADDRESS.',
      () => this.#heldTurns,
    );
  }

  stop(): void {
    this.#stopSums();
    for (const budget of this.#byAddress.values()) budget.stop();
  }

  /** One line for all that was left out, and no address in it. */
  #sumUp(log: Logger): void {
    const refused = this.refused - this.#refusedInSum;
    this.#refusedInSum = this.refused;
    const lines = this.linesLeftOut;
    this.linesLeftOut = 0;
    if (lines > 0) {
      log.info({ lines }, 'log lines left out: their addresses exceeded MAX_LOG_LINES_PER_ADDRESS');
    }
    if (refused > 0) {
      log.warn({ refused }, 'requests answered 429: their addresses exceeded MAX_LOAD_PER_ADDRESS');
    }
  }

  /** Makes room: a few of the oldest are looked at for each that is new, so that no call takes long. */
  #forget(): void {
    let looks = 4;
    for (const [address, budget] of this.#byAddress) {
      if (looks-- === 0) return;
      const isCrowded = this.#byAddress.size >= MAX_ADDRESSES;
      const isUsed = budget.sockets + budget.connections > 0 || budget.held;
      this.#byAddress.delete(address);
      if (!budget.idle && (isUsed || !isCrowded)) this.#byAddress.set(address, budget);
    }
  }
}
