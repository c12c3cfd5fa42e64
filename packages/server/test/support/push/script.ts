// The next answers of a fake push service, and what it has received.
import { type KeyObject, verify } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type IncomingHttpHeaders,
  type RequestListener,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { makeCertificate } from '@couplet/testkit/certificate';
import { temporaryFolder } from '@couplet/testkit/server';
import { onTestFinished } from 'vitest';

const files = makeCertificate(temporaryFolder());
/** The certificate of all peers, for localhost. */
export const certificate = { key: readFileSync(files.key), cert: files.ca };

export const pemOf = (key: KeyObject) => String(key.export({ type: 'pkcs8', format: 'pem' }));

/** hang: the request is never answered. cut: its connection is destroyed. */
export type Answer =
  | { status: number; headers?: Record<string, string>; body?: unknown }
  | 'hang'
  | 'cut';

export class Script<Received> {
  /** Requests that passed all checks of the service. */
  readonly received: Received[] = [];
  readonly #answers: Answer[] = [];
  readonly #events = new EventEmitter();
  #requests = 0;

  /** Answers the next requests in this way, then as usual. */
  answer(...answers: Answer[]): void {
    this.#answers.push(...answers);
  }

  /** The answer for a request that has arrived; undefined: the usual one. */
  take(): Answer | undefined {
    this.#requests += 1;
    this.#events.emit('request');
    return this.#answers.shift();
  }

  /** Resolves when this many requests have arrived. */
  async requests(count: number): Promise<void> {
    while (this.#requests < count) await once(this.#events, 'request');
  }
}

export interface Request {
  method: string | undefined;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Serves HTTP or HTTPS on loopback until the test ends. `handle` throws a text if a request is wrong. */
export async function httpPeer(handle: (request: Request) => Answer, isSecure = false) {
  /** Why requests were wrong. */
  const faults: string[] = [];
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url = '', headers } = request;
    let answer: Answer;
    try {
      answer = handle({ method, path: url, headers, body: Buffer.concat(chunks) });
    } catch (fault) {
      faults.push(String(fault));
      answer = { status: 400, body: String(fault) };
    }
    if (answer === 'hang') return;
    if (answer === 'cut') return void request.socket.destroy();
    const { status, body = {} } = answer;
    response.writeHead(status, answer.headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const server = isSecure ? createHttpsServer(certificate, listener) : createHttpServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(close);
  return { origin: `${isSecure ? 'https' : 'http'}://localhost:${port}`, faults, close };
}

/** Checks a token (RFC 7519) and returns its header and claims; throws a text. */
export function verifiedJwt(jwt: string, key: KeyObject, alg: 'ES256' | 'RS256') {
  const [head = '', claims = '', signature = ''] = jwt.split('.');
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
  const header = parse(head);
  if (header.alg !== alg) throw `alg is ${header.alg}`;
  const isRight = verify(
    'sha256',
    Buffer.from(`${head}.${claims}`),
    { key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  );
  if (!isRight) throw 'the signature is wrong';
  return { header, claims: parse(claims) };
}

/** Throws a text if a value is not the expected one. */
export function mustBe(name: string, value: unknown, expected: unknown): void {
  const [is, should] = [JSON.stringify(value), JSON.stringify(expected)];
  if (is !== should) throw `${name} is ${is}, not ${should}`;
}

/** The same for a time in seconds, which may have passed while the request was sent. */
export function mustBeNear(name: string, seconds: number, expected: number): void {
  if (!(Math.abs(seconds - expected) < 120)) throw `${name} is ${seconds}, not ${expected}`;
}
