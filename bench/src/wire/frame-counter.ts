// Counts server frames of RFC 6455 §5 by their lengths, without copying; reads the payload only on request.
import { CLOSE, PING, TEXT } from './client-frames.js';

/** The part of a frame in which the last byte was. */
type Part = 'opcode' | 'length' | 'extended' | 'payload';

/** Counts the frames of one connection, regardless of how TCP splits them. */
export class FrameCounter {
  /** Text frames of another length than the expected one, such as an error or a warning. */
  unexpected = 0;
  pings = 0;
  closed = false;
  /** Expected payload bytes of each text frame; 0: any. */
  expectedLength = 0;
  /** Called with each text while it is set, for frames that must be read outside of measurements. */
  onText: ((text: string) => void) | undefined;

  #part: Part = 'opcode';
  #opcode = 0;
  #length = 0;
  #extended = 0;
  #left = 0;
  #text: Buffer[] = [];

  /** Reads the bytes from `at` up to `end`; returns the number of text frames that they complete. */
  take(chunk: Uint8Array, at: number, end: number): number {
    let texts = 0;
    let position = at;
    while (position < end) {
      if (this.#part === 'payload') {
        const bytes = Math.min(this.#left, end - position);
        if (this.onText !== undefined && this.#opcode === TEXT) {
          this.#text.push(Buffer.from(chunk.subarray(position, position + bytes)));
        }
        position += bytes;
        this.#left -= bytes;
        if (this.#left === 0) texts += this.#complete();
        continue;
      }
      const byte = chunk[position] as number;
      position += 1;
      if (this.#part === 'opcode') {
        this.#opcode = byte & 0x0f;
        this.#part = 'length';
      } else if (this.#part === 'length') {
        const short = byte & 0x7f;
        this.#length = short < 126 ? short : 0;
        this.#extended = short < 126 ? 0 : short === 126 ? 2 : 8;
        if (this.#extended > 0) this.#part = 'extended';
        else texts += this.#beginPayload();
      } else {
        this.#length = this.#length * 256 + byte;
        this.#extended -= 1;
        if (this.#extended === 0) texts += this.#beginPayload();
      }
    }
    return texts;
  }

  #beginPayload(): number {
    this.#left = this.#length;
    this.#part = 'payload';
    return this.#left === 0 ? this.#complete() : 0;
  }

  #complete(): number {
    this.#part = 'opcode';
    if (this.#opcode === PING) this.pings += 1;
    else if (this.#opcode === CLOSE) this.closed = true;
    if (this.#opcode !== TEXT) return 0;
    if (this.expectedLength > 0 && this.#length !== this.expectedLength) this.unexpected += 1;
    if (this.onText !== undefined) {
      this.onText(Buffer.concat(this.#text).toString());
      this.#text = [];
    }
    return 1;
  }
}
