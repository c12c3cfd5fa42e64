// Answers to failed requests: their code and details, without internal information.
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { handleClientError, handleError } from '../../src/http/errors.js';
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
