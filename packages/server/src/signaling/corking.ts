// One system call per socket and turn of the event loop: what is written to a socket in one turn leaves together.

/** What corking needs of a stream (`stream.Writable` has both). */
export interface Corkable {
  cork(): void;
  uncork(): void;
}

/**
 * Holds back the writes of this turn. At its end, right after the loop has read from every socket that had news,
 * each held socket is written once: a burst of candidates costs one system call instead of one each, and a lone
 * message waits for nothing but the reads already due.
 */
export class Corking {
  #held: Corkable[] = [];

  /** Holds a stream back until the end of this turn. The caller calls it once per stream and turn. */
  hold(stream: Corkable): void {
    stream.cork();
    if (this.#held.push(stream) === 1) setImmediate(this.#release);
  }

  readonly #release = () => {
    const held = this.#held;
    this.#held = [];
    for (const stream of held) stream.uncork();
  };
}
