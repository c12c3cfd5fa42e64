// Answers to failed requests: their code and details, without internal information.
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { Unavailable } from '../../src/base/failures.js';
import {
  endRawResponse,
  handleClientError,
  handleError,
  RequestFault,
} from '../../src/http/errors.js';
import { createLogger } from '../../src/observability/logger.js';

/** Returns the answer to a request whose handler throws `thrown`, and its log lines. */
async function answerTo(thrown: unknown) {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const log = createLogger({ logLevel: 'warn', logFormat: 'json' }, destination, false);
  const app = Fastify({ loggerInstance: log });
  app.setErrorHandler(handleError);
  app.get('/', async () => {
    throw thrown;
  });
  const { statusCode, headers, body } = await app.inject('/');
  await app.close();
  return { statusCode, headers, body: JSON.parse(body), log: lines.join('') };
}

test('a fault of the request is answered with its code and details and is not logged', async () => {
  const answer = await answerTo(new RequestFault('missing_field', { field: 'joinid' }));
  expect(answer.statusCode).toBe(400);
  expect(answer.body).toStrictEqual({ error: 'missing_field', field: 'joinid' });
  expect(answer.log).toBe('');
});

test('an outage is answered 503 with Retry-After, and its cause is logged', async () => {
  const cause = Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY' });
  const answer = await answerTo(new Unavailable(cause));
  expect(answer.statusCode).toBe(503);
  expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(answer.body).toStrictEqual({ error: 'unavailable' });
  expect(answer.log).toContain('SQLITE_BUSY');
});

test.each([
  ['an error', new Error('SECRET')],
  ['an error with its own status', Object.assign(new Error('SECRET'), { statusCode: 418 })],
  ['an error with its own code', Object.assign(new Error('SECRET'), { code: 'E_SECRET' })],
  ['a string', 'SECRET'],
  ['an object', { SECRET: 'SECRET' }],
])('%s is answered 500 internal_error without its message', async (_name, thrown) => {
  const answer = await answerTo(thrown);
  expect(answer.statusCode).toBe(500);
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  expect(answer.body).toStrictEqual({ error: 'internal_error' });
  expect(answer.log).toContain('request failed');
});

test.each([
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 415, 'unsupported_media_type'],
  ['FST_ERR_CTP_BODY_TOO_LARGE', 413, 'payload_too_large'],
  ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', 400, 'invalid_request'],
  ['FST_ERR_BAD_URL', 404, 'not_found'],
])('the Fastify error %s is answered %d %s', async (code, status, error) => {
  const answer = await answerTo(Object.assign(new Error('text'), { code }));
  expect(answer.statusCode).toBe(status);
  expect(answer.body).toStrictEqual({ error });
  expect(answer.log).toBe('');
});

/** A socket that records what is written. */
class FakeSocket extends EventEmitter {
  writable = true;
  destroyed = false;
  sent = '';
  end(text: string): void {
    this.sent = text;
    this.emit('finish');
  }
  destroy(): void {
    this.destroyed = true;
  }
}

const sentFor = (code: string | undefined, socket = new FakeSocket()) => {
  const error: NodeJS.ErrnoException = new Error('SECRET');
  if (code !== undefined) error.code = code;
  handleClientError(error, socket as unknown as Socket);
  return socket;
};

test.each([
  ['HPE_INVALID_METHOD', '400 Bad Request', 'invalid_request'],
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large', 'headers_too_large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout', 'request_timeout'],
  [undefined, '400 Bad Request', 'invalid_request'],
])('the parser error %s is answered %s', (code, status, error) => {
  const { sent, destroyed } = sentFor(code);
  expect(sent).toMatch(new RegExp(`^HTTP/1\\.1 ${status}\r\n`));
  expect(sent).toContain('connection: close\r\n');
  expect(JSON.parse(sent.split('\r\n\r\n')[1] ?? '')).toStrictEqual({ error });
  expect(sent).not.toContain('SECRET');
  expect(destroyed).toBe(true);
});

test('a connection that is reset or cannot be written is closed without an answer', () => {
  expect(sentFor('ECONNRESET')).toMatchObject({ sent: '', destroyed: true });
  const closed = new FakeSocket();
  closed.writable = false;
  expect(sentFor('HPE_INVALID_METHOD', closed)).toMatchObject({ sent: '', destroyed: true });
});

test('a raw response has the additional headers and a reason phrase for every status', () => {
  const socket = new FakeSocket();
  endRawResponse(socket as unknown as Socket, 'conflict', { 'retry-after': '1' });
  expect(socket.sent).toMatch(/^HTTP\/1\.1 409 [A-Z]/);
  expect(socket.sent).toContain('\r\nretry-after: 1\r\n');
});
