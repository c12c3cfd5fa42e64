// Tests parsing and formatting of join codes.
import { expect, test } from 'vitest';
import { codeIn, grouped, spoken } from '../src/join-code.js';

test.each([
  ['042137', '042137'],
  ['https://couplet.example/demo/#code=042137', '042137'],
  ['Open https://couplet.example/demo/#code=042137 please', '042137'],
  ['https://couplet.example/demo/#code=042137482910', '042137482910'],
  ['0421 3748 2910', '042137482910'],
  ['https://couplet.example/demo/#042137.AAECAwQFBgcICQoLDA0ODw', '042137.AAECAwQFBgcICQoLDA0ODw'],
  ['#042137.AAECAwQFBgcICQoLDA0ODw', '042137.AAECAwQFBgcICQoLDA0ODw'],
  ['(see https://x.example/#042137.AAECAwQFBgcICQoLDA0ODw).', '042137.AAECAwQFBgcICQoLDA0ODw'],
  ['#042137.AAECAwQFBgcICQoLDA0ODw0', undefined],
  ['04213748291', undefined],
  // Digits of other scripts and other hyphens, encoded in a link.
  ['#code=%D9%A0%D9%A4%D9%A2%D9%A1%D9%A3%D9%A7', '042137'],
  ['#code=042%E2%80%91137', '042137'],
  ['#code=042%20137', '042137'],
  ['https://couplet.example/demo/#code=042 137', '042137'],
  ['(https://couplet.example/demo/#code=042137).', '042137'],
  ['https://couplet.example/demo/#code=042137&from=mail2', '042137'],
  ['https://couplet.example/demo/#code=042137 until 2030', '042137'],
  ['#code=%', undefined],
  ['#code=', undefined],
  ['#code=0421', undefined],
])('%j holds the code %s', (text, code) => {
  expect(codeIn(text, 6)).toBe(code);
});

test('a code has the number of digits that the server sets', () => {
  expect(codeIn('1234 5678', 8)).toBe('12345678');
  expect(codeIn('123456', 8)).toBeUndefined();
});

test.each([
  ['042137', '042 137'],
  ['12345678', '1234 5678'],
  ['042137482910', '0421 3748 2910'],
  ['12345678901234', '1234 5678 9012 34'],
])('%s is shown as %s', (code, shown) => {
  expect(grouped(code)).toBe(shown);
});

test('a screen reader reads single digits, not a number', () => {
  expect(spoken('042137')).toBe('0 4 2, 1 3 7');
});
