// One WebSocket of the generator: opening handshake, entry into a room, then frames as bytes.
import type { Socket } from 'node:net';
import { openingHandshake, PONG_FRAME } from '../wire/client-frames.js';
import { FrameCounter } from '../wire/frame-counter.js';
import { DIALECTS, type DialectName } from './dialects.js';
import { dial } from './raw-socket.js';

const END_OF_HEAD = '\r\n\r\n';

export interface WebSocketOptions {
  port: number;
  dialect: DialectName;
  /** Counts the sockets of the generator; an even number and the next one are a pair. */
  number: number;
  join: boolean;
  /** Whether its address has the room hint. */
  hinted: boolean;
}

export class LoadWebSocket {
  readonly pair: number;
  readonly seat: number;
  readonly counter = new FrameCounter();
  /** Called with the number of text frames that one read has completed, once it is ready. */
  onTexts: (texts: number) => void = () => {};
  onClose: (reason: string) => void;

  readonly #socket: Socket;
  readonly #options: WebSocketOptions;
  readonly #onReady: () => void;
  #head: string | undefined = '';
  #texts = 0;
  #ready = false;

  constructor(options: WebSocketOptions, onReady: () => void, onClose: (reason: string) => void) {
    this.#options = options;
    this.#onReady = onReady;
    this.onClose = onClose;
    this.pair = options.number >> 1;
    this.seat = options.number & 1;
    const { path: pathOf } = DIALECTS[options.dialect];
    // The number of a pair distributes as well as the hash of a room id.
    const hint = options.hinted ? `?r=${this.pair & 0xffff}` : '';
    const path = pathOf(this.pair, this.seat) + hint;
    this.#socket = dial(options.port, {
      onOpen: () => this.#socket.write(openingHandshake(path, options.port)),
      onBytes: (bytes) => this.#take(bytes),
      onClose: (reason) =>
        this.onClose(this.#head ? `${reason}: ${this.#head.slice(0, 80)}` : reason),
    });
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Bytes so far. */
  get sent(): number {
    return this.#socket.bytesWritten;
  }

  get received(): number {
    return this.#socket.bytesRead;
  }

  send(frames: Uint8Array): void {
    this.#socket.write(frames);
  }

  destroy(): void {
    this.onClose = () => {};
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    const from = this.#head === undefined ? 0 : this.#endOfHandshake(bytes);
    if (from < 0) return;
    const { counter } = this;
    const pings = counter.pings;
    const texts = counter.take(bytes, from, bytes.length);
    if (counter.pings > pings) this.#socket.write(PONG_FRAME);
    if (this.#ready) {
      if (texts > 0) this.onTexts(texts);
    } else {
      this.#enter(texts);
    }
  }

  /** The position of the first frame; -1 if it is not in these bytes. */
  #endOfHandshake(bytes: Buffer): number {
    const before = this.#head?.length ?? 0;
    this.#head += bytes.toString('latin1');
    const head = this.#head ?? '';
    const end = head.indexOf(END_OF_HEAD);
    if (end < 0) return -1;
    if (!head.startsWith('HTTP/1.1 101 ')) {
      this.#socket.destroy();
      return -1;
    }
    this.#head = undefined;
    return end + END_OF_HEAD.length - before;
  }

  #enter(texts: number): void {
    const { greetings, join, untilReady } = DIALECTS[this.#options.dialect];
    const joins = this.#options.join && join !== undefined;
    const before = this.#texts;
    this.#texts += texts;
    if (joins && before < greetings && this.#texts >= greetings) {
      this.#socket.write(join(this.pair, this.seat));
    }
    if (this.#texts < (joins ? untilReady : greetings)) return;
    this.#ready = true;
    this.#onReady();
  }
}
