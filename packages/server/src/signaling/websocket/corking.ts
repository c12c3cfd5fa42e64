// Combines all writes to one socket in one turn of the event loop into one system call.
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** Several times the largest plain frame; small enough to stay in a core's cache. */
const BYTES = 65_536;

/** Collects the forwarded frames of one turn of the event loop in memory that the next turn reuses. */
class TurnBuffer {
  bytes = Buffer.allocUnsafeSlow(BYTES);
  view = viewOf(this.bytes);
  /** Offset at which the next frame is written. Moving it behind a written frame adds that frame. */
  end = 0;
  #runFrom = 0;

  fits(bytes: number): boolean {
    return this.end + bytes <= BYTES;
  }

  /** Starts the frames of another receiver. */
  beginRun(): void {
    this.#runFrom = this.end;
  }

  /** The frames of the current receiver, sent in one piece. */
  run(): Buffer {
    return this.bytes.subarray(this.#runFrom, this.end);
  }

  /** Starts again, in new memory if a stream has yet to read some of this. */
  renew(isAllRead: boolean): void {
    this.end = 0;
    if (isAllRead) return;
    this.bytes = Buffer.allocUnsafeSlow(BYTES);
    this.view = viewOf(this.bytes);
  }
}

export function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

/**
 * Holds back the writes of a turn. At its end, after the loop has read from every readable socket, each held socket is
 * written once. A burst of candidates costs one system call, and a single message waits only for reads that are already due.
 */
export class Corking {
  /** Memory for forwarded frames. Parts that a stream has yet to read are not reused. */
  readonly frames = new TurnBuffer();
  #held: Writable[] = [];
  #borrowers: Writable[] = [];
  #due = false;

  /** Corks a stream until the end of this turn. */
  hold(stream: Writable): void {
    if (stream.writableCorked > 0) return;
    stream.cork();
    this.#held.push(stream);
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.release();
    });
  }

  /** The frames themselves if the stream reads them at once, otherwise a copy. */
  lend(stream: Writable, frames: Buffer): Buffer {
    // Frames that wait behind others are copied, so they do not keep the whole memory in use.
    if (stream.writableLength > 0 || !readsAtOnce(stream)) return Buffer.from(frames);
    this.#borrowers.push(stream);
    return frames;
  }

  /** Uncorks the streams: at the end of the turn, or earlier if the frames do not fit. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const stream of held) stream.uncork();
    const borrowers = this.#borrowers;
    this.#borrowers = [];
    // If the kernel does not take all bytes at once, the stream reads the rest later.
    this.frames.renew(borrowers.every(({ writableLength }) => writableLength === 0));
  }
}

/**
 * Whether written bytes are no longer used once the stream has nothing left to write. Only the kernel is known to copy:
 * a custom stream may pass its chunks on, and TLS always keeps some bytes.
 */
export const readsAtOnce = (stream: object): boolean =>
  stream instanceof Socket && !(stream instanceof TLSSocket);
