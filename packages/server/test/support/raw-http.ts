// Sends bytes on a bare TCP connection, for requests that no HTTP client would send, and parses answers strictly (RFC 9112).
import { connect, type Socket } from 'node:net';

/** Writes bytes in pieces of any size, and reads until the server closes the connection or has sent what is needed. */
export class RawSocket {
  readonly socket: Socket;
  /** Everything that the server has sent. */
  received: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(port: number, host = '127.0.0.1') {
    // The test decides when it ends its half, independently of the server.
    this.socket = connect({ port, host, allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#wake();
    });
    // A reset is one of the ways in which a server may end a connection.
    for (const event of ['end', 'close', 'error']) {
      this.socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  /** Writes the bytes, cut at these places (fractions of the whole). Each piece waits for the one before. */
  async write(bytes: Buffer | string, cuts: readonly number[] = []): Promise<void> {
    const whole = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    const places = cuts.map((cut) => Math.floor(cut * whole.length)).sort((a, b) => a - b);
    let from = 0;
    for (const to of [...places, whole.length]) {
      if (to === from || this.#ended || !this.socket.writable) continue;
      const piece = whole.subarray(from, to);
      from = to;
      await new Promise<void>((resolve) => this.socket.write(piece, () => resolve()));
      // The server gets a turn; otherwise the kernel joins the pieces again.
      if (places.length > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** Waits until the server has ended, or has sent enough. By default far longer than it needs. */
  async until(
    enough: (received: Buffer) => boolean = () => false,
    deadlineMs = 60_000,
  ): Promise<void> {
    const late = setTimeout(() => this.socket.destroy(new Error('late')), deadlineMs);
    while (!this.#ended && !enough(this.received)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(late);
    if (this.socket.errored?.message !== 'late') return;
    throw new Error(`neither answered nor closed: ${this.received.toString('latin1')}`);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export interface RawAnswer {
  status: number;
  /** Names in lower case. */
  headers: Map<string, string>;
  body: string;
}

/** Splits the bytes of one connection into its answers, without interim ones. After a 101, the rest is not HTTP. */
export function readAnswers(bytes: Buffer, hasBodies = true): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) throw new Error(`half an answer: ${rest.toString('latin1')}`);
    const [first = '', ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n');
    rest = rest.subarray(end + 4);
    const status = Number(/^HTTP\/1\.1 (\d{3}) [ -~]+$/.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no status line: ${first}`);
    const headers = new Map(lines.map(readHeader));
    if (headers.size !== lines.length) throw new Error(`a header twice: ${lines.join()}`);
    if (status === 100) continue;
    const answer = { status, headers, body: '' };
    answers.push(answer);
    if (status === 101) return answers;
    if (status === 204 || !hasBodies) continue;
    const length = Number(headers.get('content-length'));
    if (!Number.isInteger(length)) throw new Error(`no content-length: ${first}`);
    if (rest.length < length) throw new Error(`half a body: ${rest.toString('latin1')}`);
    answer.body = rest.subarray(0, length).toString();
    rest = rest.subarray(length);
  }
  return answers;
}

function readHeader(line: string): [string, string] {
  const [, name, value] = /^([a-z0-9-]+): ?([\t -~\x80-\xff]*)$/i.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`no header: ${line}`);
  return [name.toLowerCase(), value];
}

/** Headers of a request by their names in lower case; undefined removes one. */
export type RequestHeaders = Record<string, string | number | undefined>;

/** A request in latin1: by default of JSON, if it has a body, and the last one of its connection. */
export function request(line: string, headers: RequestHeaders = {}, body = ''): string {
  const usual: RequestHeaders = { host: 'x', connection: 'close', 'content-length': body.length };
  if (body !== '') usual['content-type'] = 'application/json';
  const lines = Object.entries({ ...usual, ...headers })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`);
  return [`${line} HTTP/1.1`, ...lines, '', body].join('\r\n');
}

/** The headers of an opening handshake. */
export const WEBSOCKET: RequestHeaders = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': 13,
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** Sends bytes and reads until the server closes the connection, or upgrades it. Resolves to the first answer. */
export async function rawRequest(url: string, bytes: string | Buffer): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const raw = new RawSocket(Number(port), hostname);
  try {
    await raw.write(bytes);
    await raw.until((received) => /^HTTP\/1\.1 101 .*\r\n\r\n/s.test(String(received)));
    const [answer] = readAnswers(raw.received, !String(bytes).startsWith('HEAD '));
    if (answer === undefined) throw new Error('closed without an answer');
    return answer;
  } finally {
    raw.destroy();
  }
}
