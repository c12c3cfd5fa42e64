// One system call per socket and turn of the event loop: what is written to a socket in one turn leaves together.
import { TurnBuffer } from './turn-buffer.js';

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

  /** Lets go of what is held; before the end of the turn, where there are more frames than fit. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const stream of held) stream.uncork();
    // What the kernel does not take at once is kept by the stream, which reads it later.
    this.frames.renew(held.every(({ writableLength }) => writableLength === 0));
  }
}
