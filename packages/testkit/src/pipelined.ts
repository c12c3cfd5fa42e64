// Sends requests over bare sockets without waiting for answers, as an attacker would.
import { connect } from 'node:net';

export interface PipelinedRequest {
  readonly path: string;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

export interface PipelinedAnswer {
  readonly status: number;
  /** Value of Retry-After in seconds, if there is one. */
  readonly retryAfter: number | undefined;
}

const bytesOf = ({ path, body, headers = {} }: PipelinedRequest): string => {
  const text = JSON.stringify(body);
  const lines = Object.entries({
    host: 'localhost',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${text}`;
};

/** Sends all requests over one socket at once; resolves to their answers in order. */
export async function pipeline(
  url: string,
  requests: readonly PipelinedRequest[],
): Promise<PipelinedAnswer[]> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.setEncoding('latin1');
  const answers: PipelinedAnswer[] = [];
  let text = '';
  socket.write(requests.map(bytesOf).join(''));
  for await (const chunk of socket) {
    text += chunk;
    for (;;) {
      const headEnd = text.indexOf('\r\n\r\n');
      if (headEnd < 0) break;
      const head = text.slice(0, headEnd).toLowerCase();
      const end = headEnd + 4 + Number(/^content-length: (\d+)/m.exec(head)?.[1] ?? 0);
      if (text.length < end) break;
      const seconds = /^retry-after: (\d+)/m.exec(head)?.[1];
      answers.push({
        status: Number(head.slice(9, 12)),
        retryAfter: seconds === undefined ? undefined : Number(seconds),
      });
      text = text.slice(end);
    }
    if (answers.length === requests.length) break;
  }
  socket.destroy();
  return answers;
}

/** Sends all requests at once over this many sockets. */
export async function flood(
  url: string,
  sockets: number,
  requests: readonly PipelinedRequest[],
): Promise<PipelinedAnswer[]> {
  const each = Math.ceil(requests.length / sockets);
  const answers = await Promise.all(
    Array.from({ length: sockets }, (_, n) =>
      pipeline(url, requests.slice(n * each, (n + 1) * each)),
    ),
  );
  return answers.flat();
}
