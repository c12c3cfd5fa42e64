// Tests normalization of typed and pasted join codes.
import { expect, test } from 'vitest';
import { normalizeJoinCode } from '../../src/index.js';

test.each([
  ['as shown', '042137'],
  ['with spaces around', ' 042\t137\n'],
  ['with an ideographic space', '042\u3000137'],
  ['with a hyphen', '042-137'],
  ['with an em dash', '042—137'],
  ['with a minus sign', '042\u2212137'],
  ['with a full-width hyphen', '042\uff0d137'],
  ['with a katakana prolonged sound mark', '042ー137'],
  ['with a box drawing line', '042─137'],
  ['with a soft hyphen', '042\u00ad137'],
  ['in quotes', '“042137”'],
  ['with directional marks', '\u200f042\u200e137\u061c'],
  ['with a byte order mark', '\ufeff042137'],
  ['with a Hangul filler', '042\u3164137'],
  ['with an empty Braille pattern', '042\u2800137'],
  ['with a NUL', '042137\u0000'],
  ['in full-width digits', '０４２－１３７'],
  ['in circled digits', '⓪④②①③⑦'],
  ['in keycap emoji', '0️⃣4️⃣2️⃣1️⃣3️⃣7️⃣'],
])('a code is read %s', (_how, text) => {
  expect(normalizeJoinCode(text)).toBe('042137');
});

test.each([
  ['nothing', ''],
  ['nothing that is visible', '\u200b\ufeff \n'],
  ['too few digits', '04213'],
  ['too many digits', '0421377'],
  ['the letter O for a zero', 'O42137'],
  ['the letter l for a one', '042l37'],
  ['a letter besides six digits', '042137a'],
  ['Chinese numerals', '〇四二一三七'],
  ['a number with a sign', '+42137'],
  ['a fraction', '½42137'],
  ['an exponent', '1e4213'],
  ['a link', 'https://couplet.example/demo/#code=042137'],
])('%s is no code', (_what, text) => {
  expect(normalizeJoinCode(text)).toBeUndefined();
});

test('a value that is not a string is converted to text', () => {
  expect(normalizeJoinCode(123456 as never)).toBe('123456');
  expect(normalizeJoinCode(undefined as never)).toBeUndefined();
  expect(normalizeJoinCode({} as never)).toBeUndefined();
});

test('every decimal digit of Unicode has its value', () => {
  const digits = Array.from({ length: 0x11_0000 }, (_, point) => point)
    .filter((point) => point < 0xd800 || point > 0xdfff)
    .map((point) => String.fromCodePoint(point))
    .filter((character) => /\p{Nd}/u.test(character));
  expect(digits.length).toBeGreaterThan(600);
  expect(digits.length % 10).toBe(0);
  const values = digits.map((digit) => normalizeJoinCode(digit, 1));
  expect(values).toEqual(digits.map((_, n) => String(n % 10)));
});
