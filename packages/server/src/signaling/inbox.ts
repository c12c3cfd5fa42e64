// The messages of one connection, one after the other: while one is under way the next waits, and the client is read no further.
import { Unavailable } from '../platform/http-errors.js';
import type { Logger } from '../platform/logger.js';
import type { Connection } from './connection.js';
import type { SignalingCounters } from './counters.js';
import { sendFault } from './handlers.js';
import { type Incoming, parseMessage } from './parse.js';
import type { RateMeter } from './rates.js';

/** Carries a message out; a promise where that takes longer than this turn. */
export type Handle = (connection: Connection, message: Incoming) => Promise<void> | undefined;

/** What all inboxes share. */
export interface InboxDeps {
  handle: Handle;
  counters: SignalingCounters;
  log: Logger;
}

/** Takes the frames of one connection in the order in which they came. */
export class Inbox {
  readonly #connection: Connection;
  readonly #rate: RateMeter;
  readonly #deps: InboxDeps;
  /**
   * Frames that came while one is under way; few connections ever have any. The first stops the reading: bounded by the
   * size of one read.
   */
  #waiting: string[] | undefined;
  #busy = false;

  constructor(connection: Connection, rate: RateMeter, deps: InboxDeps) {
    this.#connection = connection;
    this.#rate = rate;
    this.#deps = deps;
  }

  /** @param bytes - size of the frame; what the rate counts */
  receive(text: string, bytes: number): void {
    if (!this.admit(bytes)) return;
    if (!this.#busy) {
      this.#take(text);
      return;
    }
    this.#waiting ??= [];
    this.#waiting.push(text);
    // Not before: a join is mostly done before the client has more to say.
    this.#connection.pause();
  }

  /** Whether a message is under way, so that later ones have to wait. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Counts a frame against the rate, a ping or pong like a message: whether it is to be heeded. */
  admit(bytes: number, now = performance.now()): boolean {
    const verdict = this.#rate.take(bytes, now);
    return verdict === 'fine' || this.#heed(verdict);
  }

  /** Warns or closes one who sends too fast; returns whether the message still counts. */
  #heed(verdict: 'warn' | 'abuse'): boolean {
    if (verdict === 'warn') {
      this.#deps.counters.warnings += 1;
      sendFault(this.#connection, 'rate_limited');
      return true;
    }
    this.#deps.counters.drops.rate += 1;
    this.#connection.close('policy_violation');
    return false;
  }

  #take(text: string): void {
    if (!this.#connection.open) return;
    try {
      const parsed = parseMessage(text);
      if (parsed.kind === 'fault') {
        this.#deps.counters.drops.fault += 1;
        sendFault(this.#connection, parsed.code, parsed.error);
        return;
      }
      this.#deps.counters.messages[parsed.message.type] += 1;
      const underWay = this.#deps.handle(this.#connection, parsed.message);
      if (underWay !== undefined) void this.#finish(underWay);
    } catch (error) {
      this.fail(error);
    }
  }

  async #finish(underWay: Promise<void>): Promise<void> {
    this.#busy = true;
    try {
      await underWay;
    } catch (error) {
      this.fail(error);
    }
    this.#busy = false;
    const waiting = this.#waiting ?? [];
    let taken = 0;
    while (!this.#busy && taken < waiting.length) this.#take(waiting[taken++] as string);
    // All at once: one by one, thousands of small frames in one read would each move all the others.
    waiting.splice(0, taken);
    if (!this.#busy) this.#connection.resume();
  }

  /** Ends what went wrong: an outage is told, anything else closes the connection. */
  fail(error: unknown): void {
    if (error instanceof Unavailable) {
      this.#deps.log.error(
        { conn: this.#connection.number, err: error.cause },
        'message not handled',
      );
      this.#deps.counters.drops.unavailable += 1;
      sendFault(this.#connection, 'unavailable');
    } else {
      this.#deps.log.error({ conn: this.#connection.number, err: error }, 'message failed');
      this.#connection.close('internal_error');
    }
  }
}
