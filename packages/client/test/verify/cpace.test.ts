// Tests CPace with the vectors of draft-irtf-cfrg-cpace-21 (Appendices A and B.1), the map against @noble/curves, and the run with
// the vectors of docs/key-exchange.md §9.
import { readFileSync } from 'node:fs';
import { ed25519, ed25519_hasher } from '@noble/curves/ed25519.js';
import { expect, onTestFinished, test, vi } from 'vitest';
import * as cpace from '../../src/verify/cpace.js';
import { mapToCurve } from '../../src/verify/elligator2.js';
import { Authenticator } from '../../src/verify/pairing-key.js';
import { Run } from '../../src/verify/run.js';
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

const roomId = '3f'.repeat(24);
const secrets = { code: '042137482910', link: '042137.AAECAwQFBgcICQoLDA0ODw' };
const sdp = 'v=0\r\n';

/** One end with a fixed scalar. */
async function end(role: 'a' | 'b', scalar: string) {
  const keys = { privateKey: await privateKey(scalar) } as CryptoKeyPair;
  const generateKey = vi.spyOn(crypto.subtle, 'generateKey').mockResolvedValueOnce(keys);
  onTestFinished(() => generateKey.mockRestore());
  const deviceId = role === 'a' ? 'device-a' : 'device-b';
  return new Run({ role, roomId, deviceId, secrets });
}

test.each(['code', 'link'] as const)('both ends compute the vectors of a %s', async (kind) => {
  const a = await end('a', CPACE.ya);
  const shareOfA = await a.share(kind);
  const b = await end('b', CPACE.yb);
  const shareOfB = await b.share(kind);
  const key = await a.take(shareOfB);
  expect(hex(await b.take(shareOfA))).toBe(hex(key));
  const [ofA, ofB] = [
    await Authenticator.of(key, 'a', roomId),
    await Authenticator.of(key, 'b', roomId),
  ];
  const channel = lvCat(utf8('couplet-cpace1'), utf8(kind));
  const point = await cpace.generator({ password: secrets[kind], channel, session: utf8(roomId) });
  const offer = await ofB.sign('webrtc_offer', sdp);
  const vectors = {
    [kind]: secrets[kind],
    generator: hex(point),
    'share of a': shareOfA.share,
    'share of b': shareOfB.share,
    'pairing key': hex(key),
    'tag of a': await ofA.sign('confirm'),
    'tag of b': await ofB.sign('confirm'),
    'offer of b': offer,
  };
  expect(await ofA.verify(offer, 'webrtc_offer', sdp)).toBe(true);
  const paper = readFileSync(new URL('../../../../docs/key-exchange.md', import.meta.url), 'utf8');
  for (const [name, value] of Object.entries(vectors)) {
    expect(paper).toContain(`| ${name.padEnd(11)} | \`${value}\` |`);
  }
});
