// Writes the log to a file descriptor and never fails: lines that cannot be written wait, up to a bound, or are counted.
import { Writable } from 'node:stream';
import type { Cancel, Clock } from '../base/clock.js';

/** Bytes of lines that wait at most. Beyond them new lines are lost. */
const MAX_WAITING_BYTES = 1_048_576;

/** Time until a full pipe is tried again, in milliseconds: its reader is slow. */
const FULL_PIPE_MS = 50;

/** Time until any other failure is tried again, in milliseconds: the reader has ended, or the disk is full. */
const FAILURE_MS = 1000;

/** Writes some bytes and returns how many; throws as `fs.writeSync` does. */
export type WriteBytes = (bytes: Uint8Array) => number;

/**
 * A destination for {@link createLogger}. `process.stdout` ends the process when its reader has ended (EPIPE) or its disk
 * is full (ENOSPC), writes nothing any more once that has happened, and buffers without bound for a reader that is slow.
 */
export class LogOutput extends Writable {
  readonly #writeBytes: WriteBytes;
  readonly #clock: Clock;
  readonly #onLost: (lines: number) => void;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #lostLines = 0;
  #cancelRetry: Cancel | undefined;

  /** @param onLost - called once lines can be written again, with the number of those that were lost */
  constructor(writeBytes: WriteBytes, clock: Clock, onLost: (lines: number) => void) {
    super();
    this.#writeBytes = writeBytes;
    this.#clock = clock;
    this.#onLost = onLost;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#waitingBytes > 0 && this.#waitingBytes + chunk.length > MAX_WAITING_BYTES) {
      this.#lostLines += linesIn(chunk);
    } else {
      this.#waiting.push(chunk);
      this.#waitingBytes += chunk.length;
    }
    if (this.#cancelRetry === undefined) this.flush();
    done();
  }

  /** Tries once to write what waits. */
  flush(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      let written: number;
      try {
        written = this.#writeBytes(first);
      } catch (error) {
        const { code } = error as { code?: string };
        const delayMs = code === 'EAGAIN' ? FULL_PIPE_MS : FAILURE_MS;
        this.#cancelRetry = this.#clock.after(delayMs, () => this.flush());
        return;
      }
      this.#waitingBytes -= written;
      if (written < first.length) this.#waiting[0] = first.subarray(written);
      else this.#waiting.shift();
    }
    const lost = this.#lostLines;
    this.#lostLines = 0;
    if (lost > 0) this.#onLost(lost);
  }
}

const linesIn = (chunk: Buffer): number => {
  let lines = 0;
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
  return lines;
};
