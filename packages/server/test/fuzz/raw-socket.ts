// Opens a bare TCP connection: writes bytes in pieces of any size, and reads until it closes or has what is needed.
import { connect, type Socket } from 'node:net';

/** Longest time for the server to answer or to close by default, in milliseconds; far more than it needs. */
const DEADLINE_MS = 60_000;

export class RawSocket {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(port: number) {
    // The test decides when it ends its half, independently of the server.
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    this.socket.on('end', end);
    this.socket.on('close', end);
    // A reset is one of the ways in which a server may end a connection.
    this.socket.on('error', end);
  }

  /** Everything that the server has sent. */
  get received(): Buffer {
    return this.#bytes;
  }

  /** Writes the bytes, cut at these places (fractions of the whole). Each piece waits for the one before. */
  async write(bytes: Buffer, cuts: readonly number[] = []): Promise<void> {
    const places = cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b);
    let from = 0;
    for (const to of [...places, bytes.length]) {
      if (to === from || this.#ended || !this.socket.writable) continue;
      const piece = bytes.subarray(from, to);
      from = to;
      await new Promise<void>((resolve) => this.socket.write(piece, () => resolve()));
      // The server gets a turn; otherwise the kernel joins the pieces again.
      if (places.length > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** Waits until the server has ended, or has sent enough. */
  async until(
    enough: (received: Buffer) => boolean = () => false,
    deadlineMs = DEADLINE_MS,
  ): Promise<void> {
    let late = false;
    const deadline = setTimeout(() => {
      late = true;
      this.#wake();
    }, deadlineMs);
    try {
      while (!this.#ended && !enough(this.#bytes)) {
        if (late) throw new Error(`neither answered nor closed: ${this.#bytes.toString('latin1')}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  destroy(): void {
    this.socket.destroy();
  }
}
