// Computes the test vectors of docs/key-exchange.md §9, and compares them with the document.
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { generator, lvCat, utf8 } from '../../src/verify/cpace.js';
import { Authenticator } from '../../src/verify/pairing-key.js';
import { Run } from '../../src/verify/run.js';
import { CPACE, hex, privateKey } from '../support/cpace-vectors.js';

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
  const point = await generator({ password: secrets[kind], channel, session: utf8(roomId) });
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
