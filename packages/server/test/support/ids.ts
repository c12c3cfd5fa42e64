// Ids at the limits of docs/protocol.md §2, each with a name for the test title.

/** Valid ids: each is returned byte for byte. */
export const LEGAL_IDS: readonly (readonly [string, string])[] = [
  ['an uppercase UUID', '0D9C4F0E-6E0B-4D0B-9B7C-2F1A5E3C7D11'],
  ['a lowercase UUID', '0d9c4f0e-6e0b-4d0b-9b7c-2f1a5e3c7d11'],
  ['one character', 'x'],
  ['a space', ' '],
  ['spaces around', '  padded\t'],
  ['quotes', `'"\`'; DROP TABLE rooms; --`],
  ['line breaks', 'one\ntwo\r\nthree'],
  ['a NUL inside', 'a\u0000b'],
  ['a NUL at the end', 'a\u0000'],
  ['a backslash and a percent sign', '\\u0041%41_%'],
  ['a composed accent', '\u00e9'],
  ['the same accent decomposed', 'e\u0301'],
  ['emoji with joiners', '👩‍👩‍👧🏽'],
  ['text from right to left', 'שלום\u202e'],
  ['U+FEFF and U+FFFF', '\ufeff\uffff'],
  ['256 bytes of ASCII', 'a'.repeat(256)],
  ['256 bytes of emoji', '🙂'.repeat(64)],
  ['256 bytes of three-byte characters and one more', `${'€'.repeat(85)}a`],
];

/** Values that are present and are not valid ids. */
export const ILLEGAL_IDS: readonly (readonly [string, unknown])[] = [
  ['257 bytes of ASCII', 'a'.repeat(257)],
  ['257 bytes with few characters', `${'🙂'.repeat(64)}a`],
  ['258 bytes in 86 characters', '€'.repeat(86)],
  ['a lone high surrogate', 'a\ud800'],
  ['a lone low surrogate', '\udc00a'],
  ['swapped surrogates', '\udc00\ud800'],
  ['a number', 5],
  ['zero', 0],
  ['true', true],
  ['false', false],
  ['an object', {}],
  ['an array', ['x']],
];

/** Values that count as a missing field. */
export const MISSING: readonly (readonly [string, unknown])[] = [
  ['absent', undefined],
  ['null', null],
  ['an empty string', ''],
];

/** Values that are present and are not valid join codes. */
export const ILLEGAL_CODES: readonly (readonly [string, unknown])[] = [
  ['five digits', '12345'],
  ['seven digits', '1234567'],
  ['letters', 'abcdef'],
  ['a space before', ' 12345'],
  ['a line break after', '123456\n'],
  ['a NUL after', '123456\u0000'],
  ['a sign', '+12345'],
  ['a decimal point', '123.56'],
  ['Arabic-Indic digits', '١٢٣٤٥٦'],
  ['fullwidth digits', '１２３４５６'],
  ['mathematical digits', '𝟏𝟐𝟑𝟒𝟓𝟔'],
  ['a number', 123456],
  ['an array', ['123456']],
  ['an object', {}],
  ['true', true],
];
