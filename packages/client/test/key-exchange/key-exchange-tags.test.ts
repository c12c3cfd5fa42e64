// Tests the tags at the end of a key exchange, which detect changes that commitment and certificates do not cover.
import { expect, test } from 'vitest';
import { exportKey, generateKeys } from '../../src/key-exchange/key-derivation.js';
import { exchangeKeys } from '../../src/key-exchange/key-exchange.js';
import { FakeKeySession } from '../support/fake-key-session.js';

const outcome = (session: FakeKeySession) =>
  exchangeKeys(session).then(
    () => 'success',
    ({ code }) => code,
  );

test('a swapped follower key, which has no commitment, fails on both ends', async () => {
  const [leader, follower] = FakeKeySession.pair();
  const publicKey = `couplet1:key:${await exportKey(await generateKeys())}`;
  follower.forward = (message) => [
    'publicKey' in message && message.publicKey.startsWith('couplet1:key:')
      ? { ...message, publicKey }
      : message,
  ];
  expect(await Promise.all([outcome(leader), outcome(follower)])).toEqual([
    ...['key_mismatch', 'key_mismatch'],
  ]);
});

test('a leader that gets a wrong tag has no digits', async () => {
  const [leader, follower] = FakeKeySession.pair();
  follower.forward = (message) => [
    message.type === 'key_exchange_complete'
      ? { ...message, sessionId: `${message.sessionId?.split('.')[0]}.${'A'.repeat(43)}` }
      : message,
  ];
  const waiting = outcome(leader);
  await outcome(follower);
  expect(await waiting).toBe('key_mismatch');
});
