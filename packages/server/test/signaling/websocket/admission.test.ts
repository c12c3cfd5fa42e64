// Connections per address and in total.
import { expect, test } from 'vitest';
import { Admission } from '../../../src/signaling/websocket/admission.js';

test('an address may have a limited number, and one more after one has closed', () => {
  const admission = new Admission(100, 2);
  const [a, b] = [{ connections: 0 }, { connections: 0 }];
  expect([1, 2, 3].map(() => admission.enter(a))).toEqual(['admitted', 'admitted', 'address']);
  expect(admission.enter(b)).toBe('admitted');
  admission.exit(a);
  expect(admission.enter(a)).toBe('admitted');
});

test('all addresses together may have a limited number', () => {
  const admission = new Admission(2, 2);
  const [a, b, c] = [{ connections: 0 }, { connections: 0 }, { connections: 0 }];
  expect([a, b, c].map((address) => admission.enter(address))).toEqual([
    'admitted',
    'admitted',
    'total',
  ]);
  admission.exit(a);
  expect(admission.enter(c)).toBe('admitted');
});
