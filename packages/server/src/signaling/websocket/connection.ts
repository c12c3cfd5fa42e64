// Represents one live WebSocket: its id, its seat, bounded sending, and closing with a reason.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CLOSE_CODES, type CloseReason, type ServerMessage } from '@couplet/protocol';
import type { WebSocket } from 'ws';
import type { AddressBudget } from '../../limits/address-budget.js';
import type { Seat } from '../room.js';
import type { SignalingServices } from '../services.js';
import { textFrame } from './text-frame.js';

let opened = 0;

/** Shared by all connections. */
export interface ConnectionDeps extends SignalingServices {
  /** Called once, in a later turn, when either end has begun to close the connection. */
  onGone: (connection: Connection) => void;
}

export class Connection {
  /** `clientId` on the wire; unguessable, and never logged. */
  readonly id = randomUUID();
  /** Sequence number of this connection, for the log only. */
  readonly number = ++opened;
  /** Pings since the last frame from the client. */
  unanswered = 0;

  /** The budget of its address. */
  readonly budget: AddressBudget;
  /** The opening request; kept only if the embedding application decides on joins. */
  readonly request: IncomingMessage | undefined;

  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  readonly #deps: ConnectionDeps;
  #seat: Seat | null = null;
  #senderFields: Buffer | undefined;
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

  /** The address that limits count it under. */
  get address(): string {
    return this.budget.address;
  }

  /** Its seat; null: in no room. Written only by effects of the room. */
  get seat(): Seat | null {
    return this.#seat;
  }

  set seat(seat: Seat | null) {
    this.#seat = seat;
    this.#senderFields = undefined;
  }

  /** The sender's fields of its forwarded messages, as the end of a JSON object; built once per seat. */
  get senderFields(): Buffer {
    if (this.#senderFields === undefined) {
      const text = `,${JSON.stringify({ from: this.id, roomId: this.#seat?.roomId }).slice(1)}`;
      // Not in the pool that small buffers share: it would keep 8 KiB alive.
      this.#senderFields = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
      this.#senderFields.write(text);
    }
    return this.#senderFields;
  }

  /** Whether messages are still sent and received: false once a close was sent or received. */
  get open(): boolean {
    return !this.#closing && this.#socket.readyState === this.#socket.OPEN;
  }

  send(message: ServerMessage): void {
    this.sendFrame(JSON.stringify(message));
  }

  /** Sends a text frame. Closes a client that does not read its messages with 4008. Returns whether the frame was taken. */
  sendFrame(frame: string): boolean {
    const mayWrite = this.#mayWrite();
    if (mayWrite) this.#stream.write(textFrame(frame));
    return mayWrite;
  }

  /** Sends frames from memory that is lent until the streams are released: see corking.ts. Returns whether they were taken. */
  sendLent(frames: Buffer): boolean {
    const mayWrite = this.#mayWrite();
    if (mayWrite) this.#stream.write(this.#deps.corking.lend(this.#stream, frames));
    return mayWrite;
  }

  /** Answers a ping frame. Unread pongs count as unread messages. */
  pong(payload: Buffer): void {
    if (this.#mayWrite()) this.#socket.pong(payload);
  }

  ping(): void {
    // While the server does not read the connection, pongs may wait unread.
    if (!this.#socket.isPaused) this.unanswered += 1;
    this.#socket.ping();
  }

  /** Starts the closing handshake. Earlier messages are still sent; later received ones are ignored. */
  close(reason: CloseReason): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#deps.counters.closes[reason] += 1;
    this.#socket.close(CLOSE_CODES[reason].code, reason);
    // The closing handshake can take long or never end, so the peer is told now.
    this.leave();
  }

  /** Drops the connection without a close frame, because the client no longer answers. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** Stops reading, so a client cannot send faster than its messages are handled. Each cause calls this once. */
  pause(): void {
    this.#pauses += 1;
    if (this.#pauses === 1) this.#socket.pause();
  }

  /** Ends one pause. */
  resume(): void {
    this.#pauses -= 1;
    if (this.#pauses === 0) this.#socket.resume();
  }

  /** Whether one more frame may be sent; corks the stream until the end of the turn. */
  #mayWrite(): boolean {
    if (!this.open) return false;
    if (this.#stream.writableLength > this.#deps.config.maxBufferedBytes) {
      this.close('slow_consumer');
      return false;
    }
    this.#deps.corking.hold(this.#stream);
    return true;
  }

  /** Gives up the seat when the socket ends. */
  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    // Runs in a later turn, because a close can be an effect of a room change that is still in progress.
    queueMicrotask(() => this.#deps.onGone(this));
  }
}
