// Tests the key derivation with the independent test vector of docs/key-exchange.md.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { commitmentTo, derive } from '../../src/key-exchange/key-derivation.js';

const LEADER = {
  d: 'yI8B9RDZrD9wopLaojFt5UTpqriv6EBJxiqcV4YtFDM',
  x: '2tC2U5QiHPmwUeH-yleH0Jjf5jf8kLnvlF0MN3JYEYA',
  y: 'UnGgRhzbglLWHxxFb6PlmrH0WzOsz19YOJ4Fd7iZC7M',
};
const FOLLOWER = {
  d: 'xu-cXXiuASoBEWSss5fOIIhoXY8Gv5vgsoOrRkdr7lM',
  x: '0S37UonI1PgSCLcCcDmMNCKWlwoLzLdMc2_HVUSUv2M',
  y: 'VvvzyjZswj6BV4VME8WNaqwj8Eatow-DU-dPMwOYcqs',
};
const context = {
  roomId: '3f'.repeat(24),
  exchangeId: '00112233445566778899aabbccddeeff',
  leader: ['sha-256 0A:1B'],
  follower: ['sha-256 C0:FF', 'sha-384 EE:00'],
};
const leaderKey =
  'BNrQtlOUIhz5sFHh_spXh9CY3-Y3_JC575RdDDdyWBGAUnGgRhzbglLWHxxFb6PlmrH0WzOsz19YOJ4Fd7iZC7M';
const followerKey =
  'BNEt-1KJyNT4Egi3AnA5jDQilpcKC8y3THNvx1VElL9jVvvzyjZswj6BV4VME8WNaqwj8Eatow-DU-dPMwOYcqs';
const commitment = 'Sk1yfe1XYQMKWcXTMnS9Vkr0DUxNDZFtY9DfpQP-KII';
const transcript = { ...context, commitment, leaderKey, followerKey };
const expected = {
  sas: '031 381 091',
  leaderTag: 'I2RL1uQDIwhQlWYb0inzKVIjjafJYxjL_vPm0_K1YcI',
  followerTag: 'eAAz6f7wLhNyaBgZ8KUvq72vZJ78fs49R-eD7v_KVmU',
  pairingKey: 'Ro30NJhlAifOtsefsWRvK4KrYp_ZuljfGidECEG-B0A',
};

const privateKey = (jwk: typeof LEADER) =>
  crypto.subtle.importKey(
    'jwk',
    { kty: 'EC', crv: 'P-256', ...jwk },
    { name: 'ECDH', namedCurve: 'P-256' },
    false,
    ['deriveBits'],
  );

test('both ends compute the test vector', async () => {
  expect(await commitmentTo(leaderKey, context)).toBe(commitment);
  const leader = await derive(await privateKey(LEADER), followerKey, transcript);
  const follower = await derive(await privateKey(FOLLOWER), leaderKey, transcript);
  expect(leader).toMatchObject(expected);
  expect(follower).toMatchObject(expected);
  const paper = readFileSync(new URL('../../../../docs/key-exchange.md', import.meta.url), 'utf8');
  for (const value of [...Object.values(expected), commitment, leaderKey, followerKey]) {
    expect(paper).toContain(value);
  }
});
