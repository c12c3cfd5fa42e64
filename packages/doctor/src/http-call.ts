// Sends one HTTP request with JSON to the tested server, and returns status, headers and body.
import { readFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import { type Finding, failed } from './check.js';
import type { Site } from './site.js';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The body, if it is a JSON object. */
  json: Record<string, unknown> | undefined;
}

const { version }: { version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
);

const MAX_ANSWER_BYTES = 1_048_576;

/** Does not follow redirects, and sends no cookies or credentials. */
export function call(
  site: Site,
  signal: AbortSignal,
  method: string,
  path: string,
  { body, headers = {} }: { body?: object; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const request = site.base.startsWith('https:') ? requestHttps : requestHttp;
  const text = body && JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(site.base + path, {
      method,
      signal,
      agent: false,
      ...(site.ca ? { ca: site.ca } : {}),
      headers: {
        'user-agent': `couplet-doctor/${version}`,
        ...(text
          ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
          : {}),
        ...headers,
      },
    });
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      let received = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        received += chunk;
        if (received.length > MAX_ANSWER_BYTES) incoming.destroy(new Error('answer too large'));
      });
      incoming.once('error', reject);
      incoming.once('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text: received,
          json: objectIn(received),
        }),
      );
    });
    outgoing.end(text);
  });
}

/** Parses a JSON object; returns undefined for anything else. */
export function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // Not JSON, for example the page of another server.
    return undefined;
  }
}

/** Returns the REST error code of an answer, if it is one of Couplet's. */
export function errorCode({ json }: Answer): RestErrorCode | undefined {
  const code = json?.error;
  return typeof code === 'string' && Object.hasOwn(REST_ERRORS, code)
    ? (code as RestErrorCode)
    : undefined;
}

/** Returns the finding for an unexpected answer of the API. */
export function refusal(request: string, answer: Answer): Finding<never> {
  const code = errorCode(answer);
  const detail = `${request} answered ${answer.status}${code ? ` ${code}` : ''}`;
  if (code === 'rooms_api_disabled')
    return failed(
      detail,
      'The server runs without its database, for signaling only. Set USE_SQLITE=1 and restart it.',
    );
  if (code === 'unavailable' || code === 'internal_error')
    return failed(detail, 'The reason is in the log of the server, at the levels error and warn.');
  if (answer.status >= 502 && answer.status <= 504)
    return failed(
      detail,
      'A proxy answers, but the server behind it does not. Start the server, or correct its address in the proxy.',
    );
  if (code === undefined)
    return failed(
      detail,
      'This is not an answer of Couplet. A proxy must forward every path, method and body unchanged.',
    );
  return failed(detail, REST_ERRORS[code].meaning);
}
