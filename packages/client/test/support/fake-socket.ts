// Implements a WebSocket controlled by the test, which sends the test's messages and records sent ones.

type Handler = ((event: never) => void) | null;

export class FakeSocket {
  /** All created sockets, the latest last. Empty at the start of a test file. */
  static readonly all: FakeSocket[] = [];
  onopen: Handler = null;
  onmessage: Handler = null;
  onclose: Handler = null;
  onerror: Handler = null;
  closed = false;
  readonly sent: { type: string; [field: string]: unknown }[] = [];

  constructor() {
    FakeSocket.all.push(this);
  }

  static get latest(): FakeSocket {
    const socket = FakeSocket.all.at(-1);
    if (!socket) throw new Error('no socket was made');
    return socket;
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data));
  }

  close(): void {
    this.closed = true;
  }

  /** Whether the socket still has listeners. */
  get heard(): boolean {
    return this.onopen !== null || this.onmessage !== null || this.onclose !== null;
  }

  open(): void {
    this.onopen?.({} as never);
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) } as never);
  }

  lose(code = 1006): void {
    this.onclose?.({ code } as never);
  }
}
