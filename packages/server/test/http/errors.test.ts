// Answers to failed requests: their code and details, without internal information.
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { handleError } from '../../src/http/errors.js';
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
