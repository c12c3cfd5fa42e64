// Tests parsing of Retry-After.
import { expect, test } from 'vitest';
import { retryAfterSecondsOf } from '../../src/pairing/pairing-client.js';

test.each([
  [null, undefined],
  ['', undefined],
  ['soon', undefined],
  ['0', 0],
  ['-1', undefined],
  ['120', 120],
  ['Tue, 01 Jan 2030 00:02:00 GMT', undefined],
])('%j is %j seconds', (header, seconds) => {
  expect(retryAfterSecondsOf(header)).toBe(seconds);
});
