// The supported part of the Prefer header: RFC 7240 §4.3.
import { expect, test } from 'vitest';
import { preferredWaitSeconds } from '../../src/pairing/pending-routes.js';

test.each([
  [undefined, undefined],
  ['', undefined],
  ['wait=10', 10],
  ['wait=0', 0],
  ['wait=30', 30],
  ['wait=31', 30],
  ['wait=1e3', undefined],
  ['wait=٣', undefined],
  ['Wait="5"', 5],
  ['respond-async,wait=5,handling=strict', 5],
  ['wait=5;x=y', 5],
  ['x; wait=5', undefined],
  ['nowait=5', undefined],
])('%j is %j', (header, seconds) => {
  expect(preferredWaitSeconds(header)).toBe(seconds);
});
