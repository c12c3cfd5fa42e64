// Tests the schemas of device ids, room ids and join codes (docs/protocol.md §2).
import { DeviceId, JoinCode, RoomId } from '@couplet/protocol/schema';
import fc from 'fast-check';
import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';

const encoder = new TextEncoder();
const EDGES = ['', '\u0000', 'a\udc00', '\uffff', 'a'.repeat(256), 'a'.repeat(257)].concat([
  '🙂'.repeat(64),
  `${'🙂'.repeat(64)}a`,
  `${'€'.repeat(85)}a`,
  '€'.repeat(86),
]);

describe.each([
  ['DeviceId', DeviceId],
  ['RoomId', RoomId],
])('%s', (_name, schema) => {
  const check = Compile(schema);

  test.each([null, 5])('refuses %j', (id) => {
    expect(check.Check(id)).toBe(false);
  });

  test('accepts exactly the strings with a UTF-8 form of 1 to 256 bytes', () => {
    // Strings on both sides of the limits, with paired and unpaired surrogates.
    const text = fc.string({
      unit: fc.constantFrom('a', 'é', '€', '🙂', '\ud800'),
      maxLength: 270,
    });
    fc.assert(
      fc.property(text, (id) => {
        const bytes = encoder.encode(id);
        const kept = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) === id;
        expect(check.Check(id)).toBe(kept && bytes.length >= 1 && bytes.length <= 256);
      }),
      { examples: EDGES.map((id) => [id]) },
    );
  });
});

describe('JoinCode', () => {
  const check = Compile(JoinCode);

  test.each(['000000', '042137', '999999'])('accepts %s', (code) => {
    expect(check.Check(code)).toBe(true);
  });

  test.each(['', '12345', '1234567', '12345a', '123456\n', '\n123456', '١٢٣٤٥٦', 123456, null])(
    'refuses %j',
    (code) => {
      expect(check.Check(code)).toBe(false);
    },
  );
});
