// Answers to failed requests: their code and details, without internal information.
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { Unavailable } from '../../src/base/failures.js';
import { handleClientError, handleError, RequestFault } from '../../src/http/errors.js';
import { captureLog } from '../support/captured-log.js';

/** Returns the answer to a request whose handler throws `thrown`, and its log lines. */
async function answerTo(thrown: unknown) {
  const { log, text } = captureLog();
  log.level = 'warn';
  const app = Fastify({ loggerInstance: log });
  app.setErrorHandler(handleError);
  app.get('/', async () => {
    throw thrown;
  });
  const { statusCode, headers, body } = await app.inject('/');
  await app.close();
  return { statusCode, headers, body: JSON.parse(body), log: text() };
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

test('a connection that is reset or cannot be written is closed without an answer', () => {
  expect(sentFor('ECONNRESET')).toMatchObject({ sent: '', destroyed: true });
  const closed = new FakeSocket();
  closed.writable = false;
  expect(sentFor('HPE_INVALID_METHOD', closed)).toMatchObject({ sent: '', destroyed: true });
});
