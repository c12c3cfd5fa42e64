// Formats of the log, and its fields of an error.
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '../../src/observability/logger.js';
import type { Config } from '../../src/settings/config.js';

/** A log, and what it has written. */
function logTo(config: Pick<Config, 'logLevel' | 'logFormat'>, terminal = false) {
  let text = '';
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  const log = createLogger(config, destination, terminal);
  return { log, text: () => text };
}

test.each([
  ['auto', false, true],
  ['auto', true, false],
  ['json', true, true],
  ['pretty', false, false],
] as const)(
  'format %s, on a terminal: %s, gives one line, as JSON: %s',
  (logFormat, terminal, json) => {
    const { log, text } = logTo({ logLevel: 'info', logFormat }, terminal);
    log.info({ status: 200, ms: 1 }, 'request');
    expect(text()).toMatch(/^[^\n]*200[^\n]*\n$/);
    expect(text()).toContain('request');
    expect(text().startsWith('{')).toBe(json);
    expect(text()).not.toMatch(/hostname|"pid"/);
  },
);

const described = (err: unknown) => {
  const { log, text } = logTo({ logLevel: 'info', logFormat: 'json' });
  log.error({ err }, 'failed');
  return JSON.parse(text()).err;
};

test('an error is logged with name, code, message, stack and cause', () => {
  const cause = Object.assign(new Error('locked'), { code: 'SQLITE_BUSY' });
  expect(described(new TypeError('broken', { cause }))).toMatchObject({
    type: 'TypeError',
    message: 'broken',
    stack: expect.stringContaining('logger.test'),
    cause: { type: 'Error', code: 'SQLITE_BUSY', message: 'locked' },
  });
  expect(described(Object.assign(new Error('x'), { code: 5 }))).not.toHaveProperty('code');
});

test('neither the message of a syntax error, which quotes the input, nor a thrown value that is no error is logged', () => {
  const { type, message, stack } = described(new SyntaxError('Unexpected token SECRET'));
  expect([type, message]).toEqual(['SyntaxError', undefined]);
  expect(stack).not.toContain('SECRET');
  expect(described('SECRET')).toEqual({ type: 'string' });
});
