// Tests CPace with the vectors of draft-irtf-cfrg-cpace-21 (Appendices A and B.1), and the map against @noble/curves.
import { ed25519, ed25519_hasher } from '@noble/curves/ed25519.js';
import { expect, test } from 'vitest';
import * as cpace from '../../src/verify/cpace.js';
import { mapToCurve } from '../../src/verify/elligator2.js';
import {
  CPACE,
  computeVectors,
  hex,
  LOW_ORDER,
  OF_BIT_255,
  privateKey,
  unhex,
  VECTORS,
} from '../support/cpace-vectors.js';

const { lvCat, multiply, utf8 } = cpace;

test('the vectors of the draft', async () => {
  const input = { ...CPACE, lowOrder: LOW_ORDER };
  expect(await computeVectors({ cpace }, input)).toEqual(VECTORS);
});

test('fields are joined with their length in LEB128', () => {
  expect(hex(lvCat())).toBe('');
  expect(hex(lvCat(utf8('1234')))).toBe('0431323334');
  expect(hex(lvCat(utf8('1234'), utf8('5'), utf8(''), utf8('678')))).toBe(
    '043132333401350003363738',
  );
  const long = Uint8Array.from({ length: 128 }, (_, n) => n);
  expect(hex(lvCat(long))).toBe(`8001${hex(long)}`);
});

test.each(OF_BIT_255)('bit 255 of a share is ignored: %s', async (share, product) => {
  const s = await privateKey('af46e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449aff');
  expect(hex(await multiply(s, unhex(share)))).toBe(product);
});

test('random inputs are mapped like @noble/curves maps them', () => {
  const { Point } = ed25519;
  const { Fp } = Point;
  const { ORDER } = Fp;
  const edges = [0n, 1n, ORDER - 1n, ORDER, 2n ** 255n - 1n].map((number) =>
    unhex(number.toString(16).padStart(64, '0')).reverse(),
  );
  const inputs = Array.from({ length: 500 }, () => crypto.getRandomValues(new Uint8Array(32)));
  for (const input of [...edges, ...inputs]) {
    const mapped = numberOf(mapToCurve(input));
    // Theirs is on the Edwards curve, and multiplied by the cofactor. Both signs of x have the same u.
    const element = Fp.create(numberOf(input) & (2n ** 255n - 1n));
    const theirs = ed25519_hasher.mapToCurve([element]).toAffine();
    const y = Fp.mul(mapped - 1n, Fp.inv(Fp.add(mapped, 1n)));
    const ours = Point.fromBytes(Fp.toBytes(y)).multiplyUnsafe(8n);
    if (ours.toAffine().y !== theirs.y)
      expect.fail(`${hex(input)} is mapped to ${hex(mapToCurve(input))}`);
  }
});

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${hex(bytes.slice().reverse())}`);
