// The forwarded frames of one turn of the event loop, one after the other, in memory that the next turn uses again.

/** Enough for the largest frame that goes in here, several times over; small enough to stay in a core's cache. */
const BYTES = 65_536;

export class TurnBuffer {
  #bytes = Buffer.allocUnsafeSlow(BYTES);
  #view = viewOf(this.#bytes);
  #end = 0;
  #runFrom = 0;

  get bytes(): Buffer {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  /** Where the next frame goes. */
  get end(): number {
    return this.#end;
  }

  fits(bytes: number): boolean {
    return this.#end + bytes <= BYTES;
  }

  /** Keeps the frame of so many bytes that was written at the end. */
  add(bytes: number): void {
    this.#end += bytes;
  }

  /** Frames for another receiver follow. */
  beginRun(): void {
    this.#runFrom = this.#end;
  }

  /** The frames for one receiver, which leave in one piece. */
  run(): Buffer {
    return this.#bytes.subarray(this.#runFrom, this.#end);
  }

  /** Begins anew; in other memory, where something of this is still to be read. */
  renew(isAllRead: boolean): void {
    this.#end = 0;
    if (isAllRead) return;
    this.#bytes = Buffer.allocUnsafeSlow(BYTES);
    this.#view = viewOf(this.#bytes);
  }
}

export const viewOf = ({ buffer, byteOffset, length }: Buffer): DataView =>
  new DataView(buffer, byteOffset, length);
