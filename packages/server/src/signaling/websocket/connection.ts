// One live WebSocket: its id, its seat, sending within bounds, closing with a reason.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CLOSE_CODES, type CloseReason, type ServerMessage } from '@couplet/protocol';
import type { WebSocket } from 'ws';
import type { AddressBudget } from '../../limits/address-budget.js';
import type { SignalingCounters } from '../counters.js';
import type { Seat } from '../room.js';
import type { Corking } from './corking.js';
import { textFrame } from './text-frame.js';

let opened = 0;

/** What all connections share. */
export interface ConnectionDeps {
  corking: Corking;
  counters: SignalingCounters;
  maxBufferedBytes: number;
  /** Called once, in a turn of its own, when a connection has begun to close from either end. */
  onGone: (connection: Connection) => void;
}

export class Connection {
  /** `clientId` on the wire; unguessable, and never logged. */
  readonly id = randomUUID();
  /** Number of this connection in the log: counts up, means nothing elsewhere. */
  readonly number = ++opened;
  /** Pings since it was last heard of. */
  unanswered = 0;

  /** Of its address. */
  readonly budget: AddressBudget;
  /** The request that opened it; kept only where the embedding application decides on joins. */
  readonly request: IncomingMessage | undefined;

  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  readonly #deps: ConnectionDeps;
  #seat: Seat | null = null;
  #signature: Buffer | undefined;
  #corked = false;
  #pauses = 0;
  #closing = false;
  #gone = false;

  constructor(
    socket: WebSocket,
    stream: Duplex,
    { budget, request }: Pick<Connection, 'budget' | 'request'>,
    deps: ConnectionDeps,
  ) {
    this.#socket = socket;
    this.#stream = stream;
    this.budget = budget;
    this.request = request;
    this.#deps = deps;
  }

  /** What limits count it as. */
  get address(): string {
    return this.budget.address;
  }

  /** Where it sits; null: in no room. Written by effects of the room only. */
  get seat(): Seat | null {
    return this.#seat;
  }

  set seat(seat: Seat | null) {
    this.#seat = seat;
    this.#signature = undefined;
  }

  /** What its forwarded messages say of their sender, as the end of a JSON object: made once for all from one seat. */
  get signature(): Buffer {
    if (this.#signature === undefined) {
      const text = `,${JSON.stringify({ from: this.id, roomId: this.#seat?.roomId }).slice(1)}`;
      // Of its own: in the pool that small buffers share, it would keep 8 KiB for as long as it lives.
      this.#signature = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
      this.#signature.write(text);
    }
    return this.#signature;
  }

  /** Whether messages still go in and out: false from the moment a close was sent or received. */
  get open(): boolean {
    return !this.#closing && this.#socket.readyState === this.#socket.OPEN;
  }

  send(message: ServerMessage): void {
    this.sendFrame(JSON.stringify(message));
  }

  /** Sends a text frame; a client that does not read what it was sent is closed with 4008. Returns whether it was taken. */
  sendFrame(frame: string): boolean {
    const mayWrite = this.#mayWrite();
    if (mayWrite) this.#stream.write(textFrame(frame));
    return mayWrite;
  }

  /** Sends frames in memory that is lent until streams are let go: see {@link Corking}. Returns whether they were taken. */
  sendLent(frames: Buffer): boolean {
    const mayWrite = this.#mayWrite();
    if (mayWrite) this.#stream.write(this.#deps.corking.lend(this.#stream, frames));
    return mayWrite;
  }

  /** Answers a ping frame; the client that does not read its pongs is a slow one like any other. */
  pong(payload: Buffer): void {
    if (this.#mayWrite()) this.#socket.pong(payload);
  }

  ping(): void {
    // While it is not read, its pongs wait unread too: that says nothing about the other end.
    if (!this.#socket.isPaused) this.unanswered += 1;
    this.#socket.ping();
  }

  /** Starts the closing handshake; what was sent before still goes out, what comes in no longer counts. */
  close(reason: CloseReason): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#deps.counters.closes[reason] += 1;
    this.#socket.close(CLOSE_CODES[reason].code, reason);
    // The closing handshake can take its time, or never end: the peer is told now.
    this.leave();
  }

  /** Drops the connection without a word: nobody is there to hear one. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** Stops reading, so that a client cannot pile up messages faster than they are handled; for each cause once. */
  pause(): void {
    this.#pauses += 1;
    if (this.#pauses === 1) this.#socket.pause();
  }

  /** Takes one pause back. */
  resume(): void {
    this.#pauses -= 1;
    if (this.#pauses === 0) this.#socket.resume();
  }

  /** Whether one more frame goes out; holds the stream back until the end of the turn. */
  #mayWrite(): boolean {
    if (!this.open) return false;
    if (this.#stream.writableLength > this.#deps.maxBufferedBytes) {
      this.close('slow_consumer');
      return false;
    }
    if (!this.#corked) {
      this.#corked = true;
      this.#deps.corking.hold(this);
    }
    return true;
  }

  /** Gives up its seat; told of the end of its socket, however it comes. */
  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    // Not at once: a close can be an effect of the very change of the room that is being carried out.
    queueMicrotask(() => this.#deps.onGone(this));
  }

  get writableLength(): number {
    return this.#stream.writableLength;
  }

  cork(): void {
    this.#stream.cork();
  }

  uncork(): void {
    this.#corked = false;
    this.#stream.uncork();
  }
}
