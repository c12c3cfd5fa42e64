// Parses HTTP/1.1 answers on a raw socket, pipelined or not: status and body, by lengths (RFC 9112 §6.3).

const END_OF_HEAD = Buffer.from('\r\n\r\n');
/** The header in the form that Fastify and Node write. */
const CONTENT_LENGTH = ['content-length: ', 'Content-Length: '].map((name) => Buffer.from(name));

/** Called for each answer; the body is bytes `from`–`to` of a buffer that is valid only during the call. */
export type OnAnswer = (status: number, buffer: Buffer, from: number, to: number) => void;

/** Finds the answers in the received bytes of a connection. Bodies are delimited by `content-length` or absent. */
export class HttpReader {
  readonly #onAnswer: OnAnswer;
  #kept: Buffer | undefined;

  constructor(onAnswer: OnAnswer) {
    this.#onAnswer = onAnswer;
  }

  /** Reads bytes; those of an incomplete answer are copied and kept. */
  take(chunk: Buffer): void {
    const bytes = this.#kept === undefined ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = undefined;
    let at = 0;
    while (at < bytes.length) {
      const headEnd = bytes.indexOf(END_OF_HEAD, at);
      if (headEnd < 0) break;
      const from = headEnd + END_OF_HEAD.length;
      const to = from + contentLength(bytes, at, headEnd);
      if (to > bytes.length) break;
      this.#onAnswer(digits(bytes, at + 9, at + 12), bytes, from, to);
      at = to;
    }
    if (at < bytes.length) this.#kept = Buffer.from(bytes.subarray(at));
  }
}

function contentLength(bytes: Buffer, from: number, headEnd: number): number {
  for (const name of CONTENT_LENGTH) {
    const at = bytes.indexOf(name, from);
    if (at < 0 || at > headEnd) continue;
    const start = at + name.length;
    let end = start;
    while (bytes[end] !== 0x0d) end += 1;
    return digits(bytes, start, end);
  }
  return 0;
}

function digits(bytes: Buffer, from: number, to: number): number {
  let value = 0;
  for (let n = from; n < to; n++) value = value * 10 + (bytes[n] as number) - 0x30;
  return value;
}
