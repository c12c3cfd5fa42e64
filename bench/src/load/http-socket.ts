// One HTTP connection of the generator: writes request bytes, and reads answers in order.
import type { Socket } from 'node:net';
import { HttpReader, type OnAnswer } from '../wire/http-reader.js';
import { dial } from './raw-socket.js';

export class HttpSocket {
  /** Handles the next answer. */
  onAnswer: OnAnswer = () => {};
  onClose: () => void = () => {};
  readonly #socket: Socket;

  private constructor(port: number, onOpen: () => void) {
    const reader = new HttpReader((...answer) => this.onAnswer(...answer));
    this.#socket = dial(port, {
      onOpen,
      onBytes: (bytes) => reader.take(bytes),
      onClose: () => this.onClose(),
    });
  }

  /** Opens this many, a few at a time. */
  static async open(port: number, count: number): Promise<HttpSocket[]> {
    const sockets: HttpSocket[] = [];
    const openOne = (number: number) =>
      new Promise<void>((resolve, reject) => {
        const socket = new HttpSocket(port, () => resolve());
        socket.onClose = () => reject(new Error('a connection was refused or closed'));
        sockets[number] = socket;
      });
    for (let begun = 0; begun < count; begun += 256) {
      const some = Array.from({ length: Math.min(256, count - begun) }, (_, n) => begun + n);
      await Promise.all(some.map(openOne));
    }
    for (const socket of sockets) socket.onClose = () => {};
    return sockets;
  }

  /** Bytes so far. */
  get sent(): number {
    return this.#socket.bytesWritten;
  }

  get received(): number {
    return this.#socket.bytesRead;
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  /** Sends a request if none is in progress, and resolves to the status of its answer. */
  ask(request: Buffer): Promise<number> {
    return new Promise((resolve) => {
      this.onAnswer = (status) => resolve(status);
      this.onClose = () => resolve(0);
      this.send(request);
    });
  }

  destroy(): void {
    this.onClose = () => {};
    this.#socket.destroy();
  }
}
