// Tests the key exchange between two sessions: results, interception, reloads and lost messages.
import { expect, onTestFinished, test, vi } from 'vitest';
import { exportKey, generateKeys } from '../../src/key-exchange/key-derivation.js';
import { exchangeKeys } from '../../src/key-exchange/key-exchange.js';
import type { KeyMessage } from '../../src/session/session-events.js';
import { FakeKeySession } from '../support/fake-key-session.js';

/** The kind of a message: `hello`, `commit`, `key` or `complete`. */
const kindOf = (message: KeyMessage) =>
  message.type === 'key_exchange' ? message.publicKey.split(':')[1] : 'complete';
const kindsOf = ({ sent }: FakeKeySession) => sent.map(kindOf);

/** Resolves once the session has sent such a message. */
const sent = (session: FakeKeySession, kind: string) =>
  expect.poll(() => kindsOf(session), { interval: 1 }).toContain(kind);

const outcome = (exchange: Promise<unknown>) =>
  exchange.then(
    () => 'success',
    ({ code }) => code,
  );

test('both get the same digits, and a key', async () => {
  const [leader, follower] = FakeKeySession.pair();
  const [one, other] = await Promise.all([exchangeKeys(leader), exchangeKeys(follower)]);
  expect(one.sas).toBe(other.sas);
  expect(one.sas).toMatch(/^\d{3} \d{3} \d{3}$/);
  expect([one.peer, other.peer]).toEqual([leader.peer, follower.peer]);
  expect([one.key.extractable, [...one.key.usages].sort()]).toEqual([
    false,
    ['deriveBits', 'deriveKey'],
  ]);
  // Each session is bound to the certificate of the other.
  const certificates = [leader, follower].map(({ pinned: [pin] }) =>
    ['AA', 'BB'].map((value) => pin?.admits(`a=fingerprint:sha-256 ${value}`)),
  );
  expect(certificates).toEqual([
    [false, true],
    [true, false],
  ]);
  // The leader sends its key only after it has the follower's.
  expect(kindsOf(leader).slice(-2)).toEqual(['key', 'complete']);
  expect(kindsOf(follower)).toEqual(['hello', 'key', 'key', 'complete']);
});

test('a comparison makes the pairing verified, with one key and two roles', async () => {
  const pair = FakeKeySession.pair();
  const exchanged = await Promise.all(pair.map((session) => exchangeKeys(session)));
  expect(pair.map(({ trust, saved }) => ({ trust, saved }))).toEqual([
    { trust: 'none', saved: {} },
    { trust: 'none', saved: {} },
  ]);
  for (const { confirm } of exchanged) confirm();
  expect(pair.map(({ trust }) => trust)).toEqual(['compared', 'compared']);
  const [[a, key], [b, sameKey]] = pair.map(({ saved }) =>
    (saved as { key: string }).key.split('.'),
  ) as [string[], string[]];
  expect([a, b, key]).toEqual(['a', 'b', sameKey]);
  expect(key).toMatch(/^[\w-]{43}$/);
});

test('a comparison does not replace the key of a verified pairing', async () => {
  const pair = FakeKeySession.pair();
  const [{ confirm }] = await Promise.all([exchangeKeys(pair[0]), exchangeKeys(pair[1])]);
  pair[0].trust = 'code';
  confirm();
  expect(pair[0]).toMatchObject({ trust: 'code', saved: {} });
});

test.each([0, 1])('either end can begin first (%i)', async (which) => {
  const pair = FakeKeySession.pair();
  const [early, late] = which === 0 ? pair : [pair[1], pair[0]];
  const first = exchangeKeys(early);
  await sent(early, which === 0 ? 'commit' : 'hello');
  const second = exchangeKeys(late);
  expect((await first).sas).toBe((await second).sas);
});

test.each(['commit', 'key', 'complete'])(
  'a lost %s is sent again when the peer is reachable again',
  async (lost) => {
    for (const loser of [0, 1]) {
      const pair = FakeKeySession.pair();
      let down = false;
      const drop = (message: KeyMessage) => {
        if (kindOf(message) === lost && !down) {
          down = true;
          return [];
        }
        return [message];
      };
      (pair[loser] as FakeKeySession).forward = drop;
      const exchanges = Promise.all(pair.map((session) => exchangeKeys(session)));
      // The follower sends no commitment.
      if (loser === 0 || lost !== 'commit') await expect.poll(() => down).toBe(true);
      for (const session of pair) session.happen('signaling', 'down');
      for (const session of pair) session.happen('signaling', 'ready');
      const [one, other] = await exchanges;
      expect(one?.sas).toBe(other?.sas);
    }
  },
);

const forged = (sent: KeyMessage, publicKey: string) =>
  (kindOf(sent) === 'key' ? [{ ...sent, publicKey }] : [sent]) as KeyMessage[];

/** Attacks by a server between the leader and the follower. It has a key pair of its own, with this public key. */
const ATTACKS: Record<
  string,
  (leader: FakeKeySession, follower: FakeKeySession, publicKey: string) => void
> = {
  'swaps both keys, which breaks the commitment': (leader, follower, publicKey) => {
    // Without the tags, only the commitment reveals it.
    for (const end of [leader, follower]) {
      end.forward = (sent) => (/\..+/.test(sent.sessionId ?? '') ? [] : forged(sent, publicKey));
    }
  },
  'swaps the key of the follower, which has no commitment': (_leader, follower, publicKey) => {
    follower.forward = (sent) => forged(sent, publicKey);
  },
  'swaps the tag of the follower': (_leader, follower) => {
    follower.forward = (sent) =>
      kindOf(sent) === 'complete'
        ? [{ ...sent, sessionId: `${sent.sessionId?.split('.')[0]}.${'A'.repeat(43)}` }]
        : [sent];
  },
  'changes the certificates during the exchange': (leader, follower) => {
    follower.forward = (sent) => {
      if (kindOf(sent) === 'complete') leader.certificate.remote = 'EE';
      return [sent];
    };
  },
};

test.each(Object.keys(ATTACKS))('the exchange fails if a server %s', async (title) => {
  const [leader, follower] = FakeKeySession.pair();
  const publicKey = `couplet1:key:${await exportKey(await generateKeys())}`;
  ATTACKS[title]?.(leader, follower, publicKey);
  const outcomes = [leader, follower].map((session) => outcome(exchangeKeys(session)));
  expect(await outcomes[0]).toBe('key_mismatch');
  if (/key/.test(title)) expect(await outcomes[1]).toBe('key_mismatch');
});

test('certificates swapped by a server are detected without a comparison', async () => {
  // Each end has a connection with the server, and the messages of the exchange are forwarded untouched.
  const pair = FakeKeySession.pair(new FakeKeySession('AA', 'EE'), new FakeKeySession('FF', 'BB'));
  const outcomes = await Promise.all(pair.map((session) => outcome(exchangeKeys(session))));
  expect(outcomes).toEqual(['key_mismatch', 'key_mismatch']);
  expect(pair.map(({ pinned }) => pinned)).toEqual([[], []]);
});

const message = (publicKey: string, sessionId = 'id'): KeyMessage => ({
  type: 'key_exchange',
  publicKey,
  sessionId,
});

test.each([
  ['another commitment to the same exchange', message('couplet1:commit:other'), 'key_mismatch'],
  ['a commitment to another exchange', message('couplet1:commit:x', 'two'), 'key_interrupted'],
  ['a key that breaks the commitment', message('couplet1:key:BAAA'), 'key_mismatch'],
  ['a hello from the leader', message('couplet1:hello:'), 'key_mismatch'],
  ['the raw key of another protocol', message('q83vEjRWeJA='), 'key_unsupported'],
  ['a later version', message('couplet2:commit:x'), 'key_unsupported'],
  ['an unknown step', message('couplet1:sing:x'), 'key_unsupported'],
  ['a wrong tag', { type: 'key_exchange_complete', sessionId: 'id.' }, 'key_mismatch'],
] as const)('the follower gets %s', async (_title, wrong, code) => {
  const follower = new FakeKeySession('BB', 'AA');
  const exchange = outcome(exchangeKeys(follower));
  follower.hear(message('couplet1:commit:promised'));
  await sent(follower, 'key');
  // Repeated messages, and messages of an earlier exchange, are ignored.
  follower.hear(message('couplet1:commit:promised'));
  follower.hear(message('couplet1:key:x', 'gone'));
  follower.hear({ type: 'key_exchange_complete', sessionId: 'gone.tag' });
  follower.hear({ type: 'key_exchange_complete', sessionId: null });
  follower.hear({ type: 'key_exchange_complete', sessionId: 'id.before-its-key' });
  follower.hear(wrong);
  expect(await exchange).toBe(code);
  expect(kindsOf(follower).includes('complete')).toBe(code === 'key_mismatch');
});

test.each([
  ['a commitment from the follower', () => 'couplet1:commit:x', 'key_mismatch'],
  ['its own key', (own: string) => `couplet1:key:${own}`, 'key_mismatch'],
  ['a key that is not a point on the curve', () => 'couplet1:key:BAAA', 'key_mismatch'],
])('the leader gets %s', async (_title, publicKey, code) => {
  const [leader] = FakeKeySession.pair();
  let own = '';
  leader.forward = (sent) => {
    if (kindOf(sent) === 'key' && sent.type === 'key_exchange') own = sent.publicKey;
    return [sent];
  };
  const exchange = outcome(exchangeKeys(leader));
  await sent(leader, 'commit');
  const id = leader.sent[0]?.sessionId ?? '';
  if (_title === 'its own key') {
    // The key is only known once it is sent, so it is returned for a second exchange.
    const other = await exportKey(await generateKeys());
    leader.hear(message(`couplet1:key:${other}`, id));
    await sent(leader, 'key');
  }
  leader.hear(message(publicKey(own.split(':')[2] ?? ''), id));
  expect(await exchange).toBe(code);
});

test('starting again interrupts the other end, and both can try again', async () => {
  const [leader, follower] = FakeKeySession.pair();
  const first = outcome(exchangeKeys(leader));
  leader.forward = (message) => (kindOf(message) === 'complete' ? [] : [message]);
  const abort = new AbortController();
  const second = outcome(exchangeKeys(follower, { signal: abort.signal }));
  await sent(leader, 'key');
  abort.abort();
  expect(await second).toBe('aborted');
  leader.forward = (message) => [message];
  // If the last message had reached the leader before, its exchange was already complete.
  const third = exchangeKeys(follower);
  expect(['key_interrupted', 'success']).toContain(await first);
  const [one, other] = await Promise.all([exchangeKeys(leader), third]);
  expect(one.sas).toBe(other.sas);
});

test('a second exchange of the same session ends the first', async () => {
  const session = new FakeKeySession('AA', 'BB');
  const first = outcome(exchangeKeys(session));
  const abort = new AbortController();
  const second = outcome(exchangeKeys(session, { signal: abort.signal }));
  expect(await first).toBe('key_interrupted');
  abort.abort();
  expect(await second).toBe('aborted');
});

test.each([
  ['a new peer connection', ['peer', {} as RTCPeerConnection], 'key_interrupted'],
  ['the peer leaves', ['peer-left'], 'key_interrupted'],
  ['the session closes', ['state', 'closed'], 'closed'],
] as const)('%s ends it', async (_title, [name, ...args], code) => {
  const session = new FakeKeySession('AA', 'BB');
  const exchange = outcome(exchangeKeys(session));
  session.happen('state', 'reconnecting');
  session.happen(name, ...(args as never));
  expect(await exchange).toBe(code);
});

test('it needs a connected session with certificates, and WebCrypto', async () => {
  const away = new FakeKeySession('AA', 'BB');
  away.state = 'reconnecting';
  expect(await outcome(exchangeKeys(away))).toBe('not_connected');
  expect(await outcome(exchangeKeys(new FakeKeySession('', 'BB')))).toBe('unsupported');
  expect(await outcome(exchangeKeys(new FakeKeySession('AA', '')))).toBe('unsupported');
  expect(await outcome(exchangeKeys(new FakeKeySession('AA', 'AA')))).toBe('key_mismatch');
  const signal = AbortSignal.abort();
  expect(await outcome(exchangeKeys(new FakeKeySession('AA', 'BB'), { signal }))).toBe('aborted');
  vi.stubGlobal('crypto', {});
  onTestFinished(() => void vi.unstubAllGlobals());
  expect(await outcome(exchangeKeys(new FakeKeySession('AA', 'BB')))).toBe('unsupported');
});
