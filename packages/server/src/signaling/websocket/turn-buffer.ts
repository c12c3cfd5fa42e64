// Collects the forwarded frames of one turn of the event loop in memory that the next turn reuses.

/** Several times the largest plain frame; small enough to stay in a core's cache. */
const BYTES = 65_536;

export class TurnBuffer {
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
