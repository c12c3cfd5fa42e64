// Handles the messages of one connection one after the other. While one is in progress, the socket is not read.

import { systemClock } from '../../base/clock.js';
import { Unavailable } from '../../base/failures.js';
import { COST } from '../../limits/address-budget.js';
import { sendFault } from '../handlers.js';
import { type Incoming, parseMessage } from '../parse.js';
import type { RateMeter } from '../rates.js';
import type { SignalingServices } from '../services.js';
import type { Connection } from './connection.js';

/** Handles a message; returns a promise if that takes longer than this turn. */
export type Handle = (connection: Connection, message: Incoming) => Promise<void> | undefined;

/** Shared by all receive queues. */
export interface ReceiveQueueDeps extends SignalingServices {
  handle: Handle;
}

/** Takes the frames of one connection in order of arrival. */
export class ReceiveQueue {
  readonly #connection: Connection;
  readonly #rate: RateMeter;
  readonly #deps: ReceiveQueueDeps;
  /** Frames that wait for one in progress. The first one stops the reading, so one read bounds their size. */
  #waiting: string[] | undefined;
  #busy = false;
  /** When the reading stopped; undefined while the socket is read. */
  #pausedAt: number | undefined;

  constructor(connection: Connection, rate: RateMeter, deps: ReceiveQueueDeps) {
    this.#connection = connection;
    this.#rate = rate;
    this.#deps = deps;
  }

  /** @param bytes - size of the frame, for the rate */
  receive(text: string, bytes: number): void {
    if (!this.admit(bytes)) return;
    this.#connection.budget.charge(COST.parsedMessage + bytes * COST.parsedMessageByte);
    if (!this.#busy) {
      this.#take(text);
      return;
    }
    this.#waiting ??= [];
    this.#waiting.push(text);
    if (this.#pausedAt !== undefined) return;
    // Reading stops only now, because a join is usually done before the client sends more.
    this.#pausedAt = systemClock.monotonic();
    this.#connection.pause();
  }

  /** Whether a message is in progress and later ones must wait. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Counts a frame against the rate, including pings and pongs; returns whether to handle it. */
  admit(
    bytes: number,
    // Rates use real time, even if the app has another clock.
    now = systemClock.monotonic(),
    stalledMs = this.#deps.stalls.total(now),
  ): boolean {
    this.#connection.budget.charge(COST.message + bytes * COST.messageByte);
    const verdict = this.#rate.take(bytes, now, stalledMs);
    return verdict === 'fine' || this.#heed(verdict);
  }

  /** Credits milliseconds in which the server did not read the connection, because the client kept sending. */
  excuse(ms: number): void {
    this.#rate.excuse(ms);
  }

  /** Warns or closes a client that sends too fast; returns whether to handle the message. */
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
      const { type } = parsed.message;
      this.#deps.counters.messages[type] += 1;
      if (type === 'join_room' || type === 'leave_room' || type === 'ping_peer') {
        this.#connection.budget.charge(COST.membership);
      }
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
    // Removed together: one by one, each of thousands of small frames would move all the others.
    waiting.splice(0, taken);
    if (this.#busy || this.#pausedAt === undefined) return;
    this.excuse(systemClock.monotonic() - this.#pausedAt);
    this.#pausedAt = undefined;
    this.#connection.resume();
  }

  /** Handles an error: an outage is reported to the client, any other error closes the connection. */
  fail(error: unknown): void {
    if (error instanceof Unavailable) {
      const { log } = this.#deps;
      const conn = this.#connection.number;
      if (!error.isReported)
        log.error({ conn, err: error.cause }, 'message answered with unavailable');
      this.#deps.counters.drops.unavailable += 1;
      sendFault(this.#connection, 'unavailable');
    } else {
      this.#deps.log.error({ conn: this.#connection.number, err: error }, 'message failed');
      this.#connection.close('internal_error');
    }
  }
}
