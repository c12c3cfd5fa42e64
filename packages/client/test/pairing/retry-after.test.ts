// Tests parsing of Retry-After.
import { expect, test } from 'vitest';
import { retryAfterSecondsOf } from '../../src/pairing/pairing-client.js';

const now = Date.parse('2030-01-01T00:00:00.500Z');

test.each([
  [null, undefined],
  ['', undefined],
  ['soon', undefined],
  ['0', undefined],
  ['120', 120],
  ['Tue, 01 Jan 2030 00:02:00 GMT', 120],
  ['Mon, 31 Dec 2029 23:59:00 GMT', undefined],
])('%j is %j seconds', (header, seconds) => {
  expect(retryAfterSecondsOf(header, now)).toBe(seconds);
});
