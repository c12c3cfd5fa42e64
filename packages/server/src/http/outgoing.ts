// Sends HTTP/1.1 requests to other servers over kept connections. Limits the size of answers. Follows no redirects, because the
// credentials would be sent to the other address.
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface Outgoing {
  method: string;
  headers: Readonly<Record<string, string>>;
  body: string | Uint8Array | undefined;
}

export interface Answer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** At most {@link MAX_ANSWER_BYTES}; the rest is not read. */
  text: string;
}

const MAX_ANSWER_BYTES = 16_384;

/** Number and time limit of idle connections. A firewall may drop older ones without notice. */
const KEPT = { keepAlive: true, maxFreeSockets: 4, timeout: 60_000 };

export class HttpClient {
  readonly #http = new HttpAgent(KEPT);
  readonly #https: HttpsAgent;
  readonly #onAnswer: ((answer: Answer) => void) | undefined;

  /** @param ca - certificates to trust instead of those of Node.js */
  constructor(ca?: string, onAnswer?: (answer: Answer) => void) {
    this.#onAnswer = onAnswer;
    this.#https = new HttpsAgent(ca === undefined ? KEPT : { ...KEPT, ca });
  }

  /** Rejects if there is no answer, or if the signal is aborted. */
  async send(url: string, request: Outgoing, signal: AbortSignal): Promise<Answer> {
    try {
      return await this.#send(url, request, signal);
    } catch (error) {
      // The server may close a kept connection at the same time; only a new one shows whether it can be reached.
      if (!(error instanceof KeptConnectionEnded)) throw error;
      return this.#send(url, request, signal);
    }
  }

  post(
    url: string,
    headers: Outgoing['headers'],
    body: string | Uint8Array,
    signal: AbortSignal,
  ): Promise<Answer> {
    return this.send(url, { method: 'POST', headers, body }, signal);
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #send(url: string, { method, headers, body }: Outgoing, signal: AbortSignal): Promise<Answer> {
    const [request, agent] = url.startsWith('https:')
      ? [httpsRequest, this.#https]
      : [httpRequest, this.#http];
    const length = body !== undefined && { 'Content-Length': Buffer.byteLength(body) };
    const plain = { 'Accept-Encoding': 'identity' };
    const options = { method, agent, headers: { ...plain, ...headers, ...length }, signal };
    return new Promise((resolve, reject) => {
      const sent = request(url, options, (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        const finish = () => {
          const text = Buffer.concat(chunks).toString('utf8', 0, MAX_ANSWER_BYTES);
          const answer = { status: response.statusCode ?? 0, headers: response.headers, text };
          this.#onAnswer?.(answer);
          resolve(answer);
        };
        response.on('error', reject);
        response.on('end', finish);
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          chunks.push(chunk);
          if (bytes <= MAX_ANSWER_BYTES) return;
          finish();
          response.destroy();
        });
      });
      // Without this listener, Node.js closes the connection after an unrequested 101, without an event.
      sent.on('upgrade', (_response, socket) => {
        socket.destroy();
        reject(new Error('no answer'));
      });
      sent.on('error', (error) => {
        reject(sent.reusedSocket && !signal.aborted ? new KeptConnectionEnded() : error);
      });
      sent.end(body);
    });
  }
}

class KeptConnectionEnded extends Error {}
