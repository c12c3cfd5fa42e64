// Tests the key exchange between two sessions at a server that drops, changes and adds its messages.
import type { Frame } from '@couplet/testkit/browser';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import {
  type ExchangedKeys,
  exchangeKeys,
  type KeyMessage,
  type PeerSession,
} from '../../src/index.js';
import { exportKey, generateKeys } from '../../src/key-exchange/key-derivation.js';
import { devicesOf, fakeOf, pairSessions } from '../support/fake-device.js';
import { type HostileServer, startHostileServer } from '../support/hostile-server.js';

const server = await startServer();
afterAll(() => server.close());

/** The kind of a message: `hello`, `commit`, `key` or `complete`. Undefined for all other messages. */
const kindOf = ({ type, publicKey }: Frame) =>
  type === 'key_exchange' ? String(publicKey).split(':')[1] : /complete$/.exec(type)?.[0];

interface Scene {
  hostile: HostileServer;
  /** The two ends. Their certificates decide which one is the leader. */
  leader: PeerSession;
  follower: PeerSession;
  /** Kinds of the messages that each device has sent. */
  sent: Map<PeerSession, string[]>;
  /** Returns what the server forwards instead of a message of the exchange. */
  forward: (message: Frame, kind: string, from: PeerSession) => Frame[];
}

/** Pairs two devices. */
async function meet(): Promise<Scene> {
  const hostile = await startHostileServer(server);
  const device = devicesOf(hostile);
  const pair = await pairSessions(device(), device());
  const [leader, follower] = pair.sort((one, other) =>
    fakeOf(one).fingerprint < fakeOf(other).fingerprint ? -1 : 1,
  );
  const sent = new Map(pair.map((session) => [session, [] as string[]]));
  const scene: Scene = { hostile, leader, follower, sent, forward: (message) => [message] };
  hostile.toServer = (message, deviceId) => {
    const kind = kindOf(message);
    if (!kind) return [message];
    const from = leader.save().deviceId === deviceId ? leader : follower;
    sent.get(from)?.push(kind);
    return scene.forward(message, kind, from);
  };
  return scene;
}

const hasSent = ({ sent }: Scene, session: PeerSession, kind: string) =>
  expect.poll(() => sent.get(session), { interval: 1 }).toContain(kind);

const outcome = (exchange: Promise<unknown>) =>
  exchange.then(
    () => 'success',
    ({ code }) => code,
  );

/** A secret derived from the exchanged key, which cannot be exported. */
async function derivedFrom({ key }: ExchangedKeys): Promise<Buffer> {
  expect(key.extractable).toBe(false);
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: new Uint8Array() };
  return Buffer.from(await crypto.subtle.deriveBits(hkdf, key, 256));
}

/** Expects that both get the same digits, and the same key. */
async function expectSame(...exchanges: ReturnType<typeof exchangeKeys>[]) {
  const keys = await Promise.all(exchanges);
  const [{ sas } = { sas: '' }] = keys;
  expect(sas).toMatch(/^\d{3} \d{3} \d{3}$/);
  expect(keys.map((each) => each.sas)).toEqual([sas, sas]);
  const [one, other] = await Promise.all(keys.map(derivedFrom));
  expect(one).toEqual(other);
  return keys;
}

test.each(['leader', 'follower'] as const)(
  'both get the same digits if the %s begins, and the leader sends its key only after it has that of the follower',
  async (which) => {
    const scene = await meet();
    const { leader, follower, sent } = scene;
    const [early, late] = which === 'leader' ? [leader, follower] : [follower, leader];
    const first = exchangeKeys(early);
    await hasSent(scene, early, which === 'leader' ? 'commit' : 'hello');
    const keys = await expectSame(first, exchangeKeys(late));
    expect(keys.map(({ peer }) => peer)).toEqual([early.peer, late.peer]);
    expect(sent.get(leader)?.slice(-2)).toEqual(['key', 'complete']);
    expect(sent.get(follower)).toEqual(['hello', 'key', 'key', 'complete']);
  },
);

test('a comparison does not replace the key of a verified pairing', async () => {
  const device = devicesOf(server);
  const [host, guest] = await pairSessions(device(), device(), true);
  const { key } = host.save();
  const [{ confirm }] = await Promise.all([exchangeKeys(host), exchangeKeys(guest)]);
  confirm();
  expect([host.trust, host.save().key]).toEqual(['code', key]);
});

test.each(['commit', 'key', 'complete'])(
  'a lost %s is sent again when the peer is reachable again',
  async (lost) => {
    // The follower sends no commitment.
    for (const loser of lost === 'commit'
      ? (['leader'] as const)
      : (['leader', 'follower'] as const)) {
      const scene = await meet();
      let down = false;
      scene.forward = (message, kind, from) => {
        if (kind !== lost || from !== scene[loser] || down) return [message];
        down = true;
        scene.hostile.cut();
        return [];
      };
      await expectSame(exchangeKeys(scene.leader), exchangeKeys(scene.follower));
      expect(down).toBe(true);
    }
  },
);

const swapped = (message: Frame, kind: string, publicKey: string) =>
  kind === 'key' ? [{ ...message, publicKey }] : [message];

/** Attacks by the server. It has a key pair of its own, with this public key. */
const ATTACKS: Record<string, (scene: Scene, publicKey: string) => void> = {
  'swaps both keys, which breaks the commitment': (scene, publicKey) => {
    // Without the tags, only the commitment reveals it.
    scene.forward = (message, kind) =>
      /\..+/.test(String(message.sessionId)) ? [] : swapped(message, kind, publicKey);
  },
  'swaps the key of the follower, which has no commitment': (scene, publicKey) => {
    scene.forward = (message, kind, from) =>
      from === scene.follower ? swapped(message, kind, publicKey) : [message];
  },
  'swaps the tag of the follower': (scene) => {
    scene.forward = (message, kind, from) =>
      kind === 'complete' && from === scene.follower
        ? [
            {
              ...message,
              sessionId: `${String(message.sessionId).split('.')[0]}.${'A'.repeat(43)}`,
            },
          ]
        : [message];
  },
  'changes the certificates during the exchange': (scene) => {
    scene.forward = (message, kind, from) => {
      if (kind === 'complete' && from === scene.follower) present(scene.leader, 'EE');
      return [message];
    };
  },
  // Each end has a connection with the server, and the messages of the exchange are forwarded untouched.
  'swaps the certificates of both, without a comparison (key)': (scene) => {
    present(scene.leader, 'FF');
    present(scene.follower, 'FE');
  },
};

/** Gives the peer of this session another certificate. */
function present(session: PeerSession, certificate: string): void {
  const sdp = certificate && `v=0\r\na=fingerprint:sha-256 ${certificate}\r\n`;
  fakeOf(session).remoteDescription = { type: 'offer', sdp };
}

test.each(Object.keys(ATTACKS))('the exchange fails if a server %s', async (title) => {
  const scene = await meet();
  ATTACKS[title]?.(scene, `couplet1:key:${await exportKey(await generateKeys())}`);
  const outcomes = [scene.leader, scene.follower].map((each) => outcome(exchangeKeys(each)));
  expect(await outcomes[0]).toBe('key_mismatch');
  if (/key/.test(title)) expect(await outcomes[1]).toBe('key_mismatch');
});

const message = (publicKey: string, sessionId = 'id') => ({
  ...{ type: 'key_exchange', publicKey, sessionId },
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
])('the follower gets %s', async (_title, wrong, code) => {
  const scene = await meet();
  const { hostile, follower, sent } = scene;
  const say = (each: Frame) => hostile.say(follower.save().deviceId, each);
  const exchange = outcome(exchangeKeys(follower));
  say(message('couplet1:commit:promised'));
  await hasSent(scene, follower, 'key');
  // Repeated messages, and messages of an earlier exchange, are ignored.
  say(message('couplet1:commit:promised'));
  say(message('couplet1:key:x', 'gone'));
  for (const sessionId of ['gone.tag', null, 'id.before-its-key']) {
    say({ type: 'key_exchange_complete', sessionId });
  }
  say(wrong);
  expect(await exchange).toBe(code);
  if (code === 'key_mismatch') await hasSent(scene, follower, 'complete');
  else expect(sent.get(follower)).not.toContain('complete');
});

test.each([
  ['a commitment from the follower', 'couplet1:commit:x'],
  ['its own key', 'its own'],
  ['a key that is not a point on the curve', 'couplet1:key:BAAA'],
])('the leader gets %s', async (_title, publicKey) => {
  const scene = await meet();
  const { hostile, leader } = scene;
  let [id, own] = ['', ''];
  scene.forward = (sent, kind) => {
    if (kind === 'commit') id = String(sent.sessionId);
    if (kind === 'key') own = String(sent.publicKey);
    return [];
  };
  const say = (key: string) => hostile.say(leader.save().deviceId, message(key, id));
  const exchange = outcome(exchangeKeys(leader));
  await hasSent(scene, leader, 'commit');
  if (publicKey === 'its own') {
    // The key is only known once it is sent, so it is returned for a second exchange.
    say(`couplet1:key:${await exportKey(await generateKeys())}`);
    await hasSent(scene, leader, 'key');
  }
  say(own || publicKey);
  expect(await exchange).toBe('key_mismatch');
});

test('starting again interrupts the other end, and both can try again', async () => {
  const scene = await meet();
  const { leader, follower } = scene;
  const first = outcome(exchangeKeys(leader));
  scene.forward = (message, kind, from) =>
    kind === 'complete' && from === leader ? [] : [message];
  const abort = new AbortController();
  const second = outcome(exchangeKeys(follower, { signal: abort.signal }));
  await hasSent(scene, leader, 'key');
  abort.abort();
  expect(await second).toBe('aborted');
  scene.forward = (message) => [message];
  // If the last message had reached the leader before, its exchange was already complete.
  const third = exchangeKeys(follower);
  expect(['key_interrupted', 'success']).toContain(await first);
  await expectSame(exchangeKeys(leader), third);
});

test.each<[string, string, (scene: Scene) => unknown]>([
  ['a second exchange', 'key_interrupted', ({ leader }) => outcome(exchangeKeys(leader))],
  [
    'a new peer connection',
    'key_interrupted',
    ({ hostile, follower }) => resume(hostile, follower),
  ],
  ['the peer leaves', 'key_interrupted', ({ follower }) => follower.close()],
  ['the session closes', 'closed', ({ leader }) => leader.close()],
])('%s ends it', async (_title, code, happen) => {
  const scene = await meet();
  const exchange = outcome(exchangeKeys(scene.leader));
  // A connection that is lost for a while does not end it.
  for (const state of ['disconnected', 'connected']) fakeOf(scene.leader).become(state);
  happen(scene);
  expect(await exchange).toBe(code);
});

/** As after a reload of the page, which does not leave the room. */
async function resume(hostile: HostileServer, session: PeerSession): Promise<void> {
  const again = await devicesOf(hostile)().resume(session.save());
  onTestFinished(() => again.close());
}

test('it needs a connected session with certificates, and WebCrypto', async () => {
  const { leader, follower } = await meet();
  const signal = AbortSignal.abort();
  expect(await outcome(exchangeKeys(leader, { signal }))).toBe('aborted');
  for (const [certificate, code] of [
    ['', 'unsupported'],
    [fakeOf(leader).fingerprint.slice('sha-256 '.length), 'key_mismatch'],
  ] as const) {
    present(leader, certificate);
    expect(await outcome(exchangeKeys(leader))).toBe(code);
  }
  fakeOf(follower).localDescription = null;
  expect(await outcome(exchangeKeys(follower))).toBe('unsupported');
  fakeOf(leader).become('disconnected');
  expect(await outcome(exchangeKeys(leader))).toBe('not_connected');
  fakeOf(leader).become('connected');
  vi.stubGlobal('crypto', {});
  onTestFinished(() => void vi.unstubAllGlobals());
  expect(await outcome(exchangeKeys(leader))).toBe('unsupported');
});

test("an application's own exchange: both get the other key unchanged before they are connected", async () => {
  /** Sends a key as soon as the peer joins, confirms the peer's key, and records the messages. */
  const speaking = (publicKey: string) => {
    const heard: [KeyMessage, string][] = [];
    const onSession = (session: PeerSession) => {
      onTestFinished(() => session.close());
      session.on('signaling', (state) => {
        if (state === 'ready') session.signal({ type: 'key_exchange', publicKey, timestamp: 7 });
      });
      session.on('key-message', (message) => {
        heard.push([message, session.state]);
        if (message.type === 'key_exchange') session.signal({ type: 'key_exchange_complete' });
      });
    };
    return { onSession, heard };
  };
  const device = devicesOf(server);
  const [one, other] = [speaking('raw key of one'), speaking('raw key of the other')];
  const invite = await device().invite({ onSession: one.onSession });
  await device().accept(invite.code, { onSession: other.onSession });
  for (const [{ heard }, publicKey] of [
    [one, 'raw key of the other'],
    [other, 'raw key of one'],
  ] as const) {
    const key = { type: 'key_exchange', publicKey, timestamp: 7 };
    expect(heard[0]).toMatchObject([key, 'connecting']);
    await expect.poll(() => heard.map(([{ type }]) => type)).toContain('key_exchange_complete');
  }
});
