// One system call per socket and turn of the event loop: what is written to a socket in one turn leaves together.
import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { TurnBuffer } from './tick-buffer.js';

/** What corking needs of a stream (`stream.Writable` has them all). */
export interface Corkable {
  /** Bytes that were written, and have not left yet. */
  readonly writableLength: number;
  cork(): void;
  uncork(): void;
}

/**
 * Holds back the writes of this turn. At its end, right after the loop has read from every socket that had news,
 * each held socket is written once: a burst of candidates costs one system call instead of one each, and a lone
 * message waits for nothing but the reads already due.
 */
export class Corking {
  /** Where forwarded frames are made. What is still to be read of it when they are let go stays as it is. */
  readonly frames = new TurnBuffer();
  #held: Corkable[] = [];
  #borrowers: Corkable[] = [];
  #due = false;

  /** Holds a stream back until the end of this turn. The caller calls it once per stream and turn. */
  hold(stream: Corkable): void {
    stream.cork();
    this.#held.push(stream);
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.release();
    });
  }

  /** Frames as they are to be written to a stream: these where it reads them at once, as far as we can tell, else a copy. */
  lend(stream: Corkable, frames: Buffer): Buffer {
    // What waits behind others is kept without all else that lies beside it.
    if (stream.writableLength > 0 || !readsAtOnce(stream)) return Buffer.from(frames);
    this.#borrowers.push(stream);
    return frames;
  }

  /** Lets go of what is held; before the end of the turn, where there are more frames than fit. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const stream of held) stream.uncork();
    const borrowers = this.#borrowers;
    this.#borrowers = [];
    // What the kernel does not take at once is kept by the stream, which reads it later.
    this.frames.renew(borrowers.every(({ writableLength }) => writableLength === 0));
  }
}

/**
 * Whether what was written has been read once the stream has nothing left to write. Only the kernel is known to copy: a
 * stream of somebody's own may hand on what it was given, and TLS always has something left.
 */
export const readsAtOnce = (stream: object): boolean =>
  stream instanceof Socket && !(stream instanceof TLSSocket);
