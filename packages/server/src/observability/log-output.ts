// Writes the log to a file descriptor without failing. Lines that arrive within a few milliseconds are written together. If they
// cannot be written, they wait, up to a bound; further lines are lost and counted.
import { Writable } from 'node:stream';
import type { Cancel, Clock } from '../base/clock.js';

/** Maximum number of bytes of waiting lines. Beyond it, new lines are lost. */
const MAX_WAITING_BYTES = 1_048_576;

/** How long a line waits for others, in milliseconds. A system call per line would be a tenth of a request's cost. */
const BATCH_MS = 10;

/** Delay before a retry if the pipe is full because its reader is slow, in milliseconds. */
const FULL_PIPE_MS = 50;

/** Delay before a retry after any other failure, such as a reader that has ended or a full disk, in milliseconds. */
const FAILURE_MS = 1000;

/** Writes bytes and returns how many were written. Throws like `fs.writeSync`. */
export type WriteBytes = (bytes: Uint8Array) => number;

/**
 * A destination for {@link createLogger}. `process.stdout` is not used because it ends the process if its reader has
 * ended (EPIPE) or its disk is full (ENOSPC), never writes again after such an error, and buffers without bound for a
 * slow reader.
 */
export class LogOutput extends Writable {
  readonly #writeBytes: WriteBytes;
  readonly #clock: Clock;
  readonly #onLost: (lines: number) => void;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #lostLines = 0;
  #hasFailed = false;
  #cancelTimer: Cancel | undefined;

  /** @param onLost - called when lines can be written again, with the number of lost lines */
  constructor(writeBytes: WriteBytes, clock: Clock, onLost: (lines: number) => void) {
    super();
    this.#writeBytes = writeBytes;
    this.#clock = clock;
    this.#onLost = onLost;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const isFull = () =>
      this.#waitingBytes > 0 && this.#waitingBytes + chunk.length > MAX_WAITING_BYTES;
    // A burst is written early: lines are lost only if they cannot be written.
    if (isFull() && !this.#hasFailed) this.flush();
    if (isFull()) {
      this.#lostLines += linesIn(chunk);
    } else {
      this.#waiting.push(chunk);
      this.#waitingBytes += chunk.length;
    }
    this.#cancelTimer ??= this.#clock.after(BATCH_MS, () => this.flush());
    done();
  }

  /** Tries once to write the waiting lines. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    let rest: Uint8Array = Buffer.concat(this.#waiting);
    try {
      while (rest.length > 0) rest = rest.subarray(this.#writeBytes(rest));
    } catch (error) {
      const { code } = error as { code?: string };
      const delayMs = code === 'EAGAIN' ? FULL_PIPE_MS : FAILURE_MS;
      this.#cancelTimer = this.#clock.after(delayMs, () => this.flush());
    }
    this.#waiting = [rest];
    this.#waitingBytes = rest.length;
    this.#hasFailed = rest.length > 0;
    const lost = this.#lostLines;
    if (this.#hasFailed || lost === 0) return;
    this.#lostLines = 0;
    this.#onLost(lost);
    // At the exit of the process, there is no later write.
    this.flush();
  }

  /** pino calls this after a fatal line, which may be the last one. */
  flushSync(): void {
    this.flush();
  }
}

const linesIn = (chunk: Buffer): number => {
  let lines = 0;
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
  return lines;
};
