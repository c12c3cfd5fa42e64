// A bare TCP connection to the server: bytes out in pieces of any size, bytes in until it closes or what is wanted has come.
import { connect, type Socket } from 'node:net';

/** Longest that the server may take to say what it has to, or to close, in milliseconds; far beyond what it needs. */
const DEADLINE_MS = 20_000;

export class RawSocket {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(port: number) {
    // The test decides when it ends its half, whatever the server does with its own.
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
    // A reset is one of the ways in which a server may be rid of us.
    this.socket.on('error', end);
  }

  /** All that the server has sent. */
  get received(): Buffer {
    return this.#bytes;
  }

  /** Whether the server will send no more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Writes the bytes cut at these places (fractions of the whole), each piece on its own once the one before is out. */
  async write(bytes: Buffer, cuts: readonly number[] = []): Promise<void> {
    const places = cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b);
    let from = 0;
    for (const to of [...places, bytes.length]) {
      if (to === from || this.#ended || !this.socket.writable) continue;
      const piece = bytes.subarray(from, to);
      from = to;
      await new Promise<void>((resolve) => this.socket.write(piece, () => resolve()));
      // The server gets a turn: else the kernel puts the pieces together again.
      if (places.length > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** Waits until the server has ended, or what it sent is enough. */
  async until(enough: (received: Buffer) => boolean = () => false): Promise<void> {
    let late = false;
    const deadline = setTimeout(() => {
      late = true;
      this.#wake();
    }, DEADLINE_MS);
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
