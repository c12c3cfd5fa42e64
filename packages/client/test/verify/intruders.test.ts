// Attacks of a hostile server on verified pairings: the real server behind a proxy, with devices of its own. The attacker gets no
// connection, no message and no second guess. The same attacker gets in if it knows the secret.
import { randomUUID } from 'node:crypto';
import type { Frame } from '@couplet/testkit/browser';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { startServer } from '@couplet/testkit/server';
import { afterAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { base64url } from '../../src/base64url.js';
import { secretsFor } from '../../src/verify/code.js';
import { type Known, spent } from '../../src/verify/verified-signaling.js';
import { LOW_ORDER, unhex } from '../support/cpace-vectors.js';
import { devicesOf } from '../support/fake-device.js';
import { type HostileServer, startHostileServer } from '../support/hostile-server.js';
import { openEnd, record, type Seen } from '../support/verified-end.js';

const server = await startServer();
afterAll(() => server.close());
// Each test stands for another page.
beforeEach(() => spent.clear());

const PREFIX = 'couplet-cpace1:';
const isRun = ({ type, publicKey }: Frame) =>
  type === 'key_exchange' && String(publicKey).startsWith(PREFIX);
const isDescription = ({ type }: Frame) => /^webrtc_(offer|answer)$/.test(type);
const isForwarded = ({ type }: Frame) => /^(webrtc|key|ice)_/.test(type);
const foreign = new Uint8Array(32).fill(9);
const share = (bytes: Uint8Array) => `${PREFIX}share:code:${base64url(bytes)}:AAAA:AAAA`;

/** The secrets of an invite, and a wrong guess: another invite with the same join code. */
const [ours, guess] = [secretsFor('042137'), secretsFor('042137')];
const [asA, asB]: Known[] = [
  { role: 'a', secrets: { code: ours.code } },
  { role: 'b', secrets: ours },
];

/** In this test, the devices are in different pages: none knows which codes another one has used. */
function inPagesOfTheirOwn(): void {
  const has = vi.spyOn(spent, 'has').mockReturnValue(false);
  onTestFinished(() => has.mockRestore());
}

interface Scene {
  hostile: HostileServer;
  roomId: string;
  /** The device that created the code, and the one that accepted it. */
  host: Seen;
  guest: Seen;
  clock: FakeClock;
  /** Different shares that each device has sent, which are as many guesses. */
  shares: Map<string, Set<string>>;
}

/** Opens both ends on a hostile server, which is silent until `attack` has been called. */
async function stage(
  attack: (scene: Scene) => void = () => {},
  { known = [asB, asA], rooms = [] }: { known?: (Known | undefined)[]; rooms?: string[] } = {},
): Promise<Scene> {
  const hostile = await startHostileServer(server);
  const [roomId, clock] = [randomUUID() as string, new FakeClock()];
  const shares = new Map<string, Set<string>>();
  const open = (n: number) => openEnd(hostile, rooms[n] ?? roomId, known[n], { clock });
  const scene = { hostile, roomId, clock, shares, host: open(0), guest: open(1) };
  attack(scene);
  const { toServer } = hostile;
  hostile.toServer = (frame, deviceId) => {
    const [, sent] = /:share:\w+:([^:]*)/.exec(String(frame.publicKey)) ?? [];
    const all = shares.get(deviceId) ?? new Set();
    if (sent) shares.set(deviceId, all.add(sent));
    return toServer(frame, deviceId);
  };
  return scene;
}

const connected = (...ends: Seen[]) =>
  eventually(() =>
    expect(ends.map(({ session }) => session.state)).toEqual(ends.map(() => 'connected')),
  );

/** Expects that an end was ended by this error, before anything was applied or received. */
async function expectRefused(end: Seen, code: string, trust = 'none'): Promise<void> {
  await eventually(() => expect(end.errors).toEqual([code]));
  const { state } = end.session;
  expect({ state, trust: end.session.trust, ...end }).toMatchObject({
    ...{ state: 'closed', trust, applied: [], messages: [], states: ['closed'] },
  });
}

/** Expects that only descriptions of the other end were passed to WebRTC, and that there was no message. */
function expectOnlyFrom(other: Seen, end: Seen): void {
  for (const sdp of end.applied) {
    expect(other.connections.some(({ fingerprint }) => sdp.includes(fingerprint))).toBe(true);
  }
  expect(end.messages).toEqual([]);
}

function expectOneGuess({ shares }: Scene): void {
  for (const all of shares.values()) expect(all.size).toBeLessThanOrEqual(1);
}

/** The rooms that a server in the middle gives to the two devices, and its own devices in them. */
async function stageBetween(secret: string) {
  const rooms = [randomUUID(), randomUUID()];
  const scene = await stage(() => {}, { rooms });
  await eventually(() => expect(scene.guest.session.signaling).toBe('joined'));
  const intrude = (code: string) => [
    openEnd(server, rooms[0] as string, { role: 'a', secrets: { code } }),
    openEnd(server, rooms[1] as string, { role: 'b', secrets: { code } }),
  ];
  return { ...scene, rooms, intrude, intruders: intrude(secret) };
}

describe('a server in the middle, which pairs each device with one of its own,', () => {
  test('gets in if it knows the secret: the attack works', async () => {
    inPagesOfTheirOwn();
    const { host, guest, intruders } = await stageBetween(ours.code);
    await connected(host, guest, ...intruders);
    const [toHost, toGuest] = intruders as [Seen, Seen];
    toHost.session.on('message', (text) => toGuest.session.send(`read: ${text}`));
    host.session.send('hello');
    await eventually(() => expect(guest.messages).toEqual(['read: hello']));
  });

  test('has one guess for each device, whatever it does after it', async () => {
    const scene = await stageBetween(guess.code);
    const { host, guest, rooms, intrude } = scene;
    await expectRefused(host, 'code_mismatch');
    await expectRefused(guest, 'code_mismatch');
    // New connections with the right secret find nobody.
    inPagesOfTheirOwn();
    const late = intrude(ours.code);
    await eventually(() =>
      expect(late.map(({ session }) => session.signaling)).toEqual(['joined', 'joined']),
    );
    for (const { deviceId } of [host, guest]) {
      scene.hostile.say(deviceId, { type: 'room_ready', roomId: rooms[0], isInitiator: true });
    }
    expectOneGuess(scene);
    expect(late.flatMap(({ applied, errors }) => [applied, errors])).toEqual([[], [], [], []]);
  });

  test.each(['before the confirmation', 'after a new connection'])(
    'cannot replace its guess for the device that created the code %s',
    async (when) => {
      const roomId = randomUUID();
      const scene = await stage(() => {}, { rooms: [roomId, randomUUID()] });
      const { host, hostile } = scene;
      // The first guess never confirms: it only reads the tag, and sees that the guess was wrong.
      const first = await startHostileServer(server);
      first.toServer = (frame) => (/:(confirm|fail)/.test(String(frame.publicKey)) ? [] : [frame]);
      const wrong = openEnd(first, roomId, { role: 'a', secrets: { code: guess.code } });
      await eventually(() => expect(wrong.errors).toEqual(['code_mismatch']));
      if (when === 'after a new connection') {
        hostile.cut();
        await eventually(() => expect(host.session.signaling).toBe('down'));
        scene.clock.advance(2_000);
        await eventually(() => expect(host.session.signaling).toBe('joined'));
      }
      openEnd(server, roomId, asA);
      await expectRefused(host, 'code_mismatch');
      expectOneGuess(scene);
    },
  );

  test('gets no second guess from a device that accepts a code twice at once', async () => {
    const sessions: Seen[] = [];
    const hostile = await startHostileServer(server);
    const shares = new Set<string>();
    hostile.toServer = (frame) => {
      const [, sent] = /:share:\w+:([^:]*)/.exec(String(frame.publicKey)) ?? [];
      if (sent) shares.add(sent);
      return [frame];
    };
    // The server lets every accept into a room of its own.
    const fetch = async () => Response.json({ roomid: randomUUID() });
    const couplet = devicesOf(hostile)({ fetch: fetch as typeof globalThis.fetch });
    const accept = () =>
      couplet
        .accept(ours.code, { onSession: (session) => sessions.push(record(session)) })
        .catch(({ code }) => code);
    const results = Promise.all([accept(), accept(), accept()]);
    await eventually(() =>
      expect(sessions.map(({ session }) => session.signaling)).toEqual([
        'joined',
        'joined',
        'joined',
      ]),
    );
    for (const { session } of sessions) {
      openEnd(server, session.save().roomId, { role: 'b', secrets: secretsFor('042137') });
    }
    expect(await results).toEqual(['code_mismatch', 'code_mismatch', 'code_mismatch']);
    expect(shares.size).toBe(1);
  });
});

describe('a server that', () => {
  test('gives the devices different room ids ends both, although they have the same code', async () => {
    const real = randomUUID();
    const scene = await stage(
      ({ hostile }) => {
        hostile.toServer = (frame) =>
          frame.type === 'join_room' ? [{ ...frame, roomId: real }] : [frame];
      },
      { rooms: [randomUUID(), randomUUID()] },
    );
    await expectRefused(scene.host, 'code_mismatch');
    await expectRefused(scene.guest, 'code_mismatch');
    expectOneGuess(scene);
  });

  test('pairs two devices that accepted the same code ends both', async () => {
    inPagesOfTheirOwn();
    const scene = await stage(() => {}, {
      known: [asA, asA],
    });
    for (const end of [scene.host, scene.guest]) await expectRefused(end, 'code_mismatch');
  });

  test('drops every message of the run gets nothing, and both end in 20 seconds', async () => {
    const scene = await stage(({ hostile }) => {
      hostile.toDevice = (frame) => (isRun(frame) ? [] : [frame]);
    });
    const { host, guest, clock, shares } = scene;
    await eventually(() => expect(shares.size).toBe(1));
    await eventually(() => expect(clock.pending).toBeGreaterThanOrEqual(4));
    clock.advance(19_000);
    expect([...host.errors, ...guest.errors]).toEqual([]);
    clock.advance(2_000);
    await expectRefused(host, 'unverified_peer');
    await expectRefused(guest, 'unverified_peer');
  });

  test('reports a mismatch ends only the device whose run is not complete', async () => {
    const { host, guest, hostile } = await stage(({ hostile }) => {
      // The run of the device that accepted the code is complete with the first offer.
      hostile.toDevice = (frame) => (isDescription(frame) ? [] : [frame]);
    });
    await eventually(() =>
      expect([host.session.trust, guest.session.trust]).toEqual(['code', 'code']),
    );
    for (const { deviceId } of [host, guest]) {
      hostile.say(deviceId, { type: 'key_exchange', publicKey: `${PREFIX}fail:AAAA` });
    }
    await eventually(() => expect(guest.errors).toEqual(['code_mismatch']));
    await eventually(() => expect(host.session.signaling).toBe('joined'));
    expect([host.errors, host.session.state]).toEqual([[], 'connecting']);
  });
});

/** Values that no honest server sends, in the place of a message of the run. */
const GARBAGE: Record<string, unknown> = {
  ...Object.fromEntries(LOW_ORDER.map((hex) => [`the point ${hex}`, share(unhex(hex))])),
  'a share without a byte': share(new Uint8Array(31).fill(9)),
  'a share with one byte more': share(new Uint8Array(33).fill(9)),
  'a share of a megabyte': `${PREFIX}share:code:${'A'.repeat(2 ** 20)}:AAAA:AAAA`,
  'no share': `${PREFIX}share`,
  'a share that is not base64url': `${PREFIX}share:code:${'é'.repeat(43)}:AAAA:AAAA`,
  'a share with another device id': `${PREFIX}share:code:${base64url(foreign)}:*:AAAA`,
  'a share for a property of every object': `${PREFIX}share:__proto__:${base64url(foreign)}:AAAA:`,
  'a list with a share': [share(foreign)],
  'a raw key': 'AAAA',
  'a report of a mismatch': `${PREFIX}fail`,
  'digits of another script': '٠٤٢١٣٧',
  ...{ 'a number': 7, 'an object': {}, null: null, true: true, nothing: undefined },
};

type Forge = (frame: Frame) => Frame[];

const ofRun =
  (forge: Forge): Forge =>
  (frame) =>
    isRun(frame) ? forge(frame) : [frame];
/** Changes the text of a message of the run. */
const edited = (from: RegExp, to: string) =>
  ofRun((frame) => [{ ...frame, publicKey: String(frame.publicKey).replace(from, to) }]);
/** Changes the fields of descriptions, or of one type of them. */
const described =
  (fields: (frame: Frame) => object, type = /^webrtc_/): Forge =>
  (frame) =>
    isDescription(frame) && type.test(frame.type)
      ? [{ ...frame, ...fields(frame) } as Frame]
      : [frame];
const FOREIGN = 'candidate:1 1 udp 1 203.0.113.9 9 typ host';
const FORGED = `sha-256 ${'AB:'.repeat(31)}AB`;
const swapped = ({ sdp }: Frame) => ({ sdp: String(sdp).replace(/sha-256 \S+/g, FORGED) });

/** Changes of what the server forwards to both devices; each must end the pairing. */
const FORGERIES: Record<string, Forge> = {
  ...Object.fromEntries(
    Object.entries(GARBAGE).map(([what, publicKey]) => [
      `replaces messages of the run by ${what}`,
      ofRun((frame) => [{ ...frame, publicKey }]),
    ]),
  ),
  'strips the tags': edited(/:[^:]*$/, ':'),
  'swaps the device ids': edited(/^((?:[^:]*:){4})[^:]*/, '$1AAAA'),
  'swaps the kind of the code': edited(/:code:/, ':link:'),
  'sends a second share': ofRun((frame) => [frame, { ...frame, publicKey: share(foreign) }]),
  'sends a share of its own first': ofRun((frame) => [
    { ...frame, publicKey: share(foreign) },
    frame,
  ]),
  'sends an offer of its own before the confirmation': ofRun((frame) => [
    { type: 'webrtc_offer', sdp: `a=fingerprint:${FORGED}\r\n` },
    frame,
  ]),
  'swaps the fingerprint of offers': described(swapped, /offer/),
  'swaps the fingerprint of answers': described(swapped, /answer/),
  'strips the MAC of descriptions': described(() => ({ mac: undefined })),
  'swaps the fingerprint, and strips the MAC': described((frame) => ({
    ...swapped(frame),
    mac: undefined,
  })),
  'makes an answer of an offer': described(() => ({ type: 'webrtc_answer' }), /offer/),
  'cuts the MAC': described(({ mac }) => ({ mac: String(mac).slice(4) })),
  'sends a list as the MAC': described(({ mac }) => ({ mac: [mac] })),
  'sends an object as the MAC': described(() => ({ mac: {} })),
  'sends null as the MAC': described(() => ({ mac: null })),
  'sends a MAC of a megabyte': described(() => ({ mac: 'x'.repeat(2 ** 20) })),
  'sends descriptions without text': described(() => ({ sdp: undefined })),
  'sends an object as a description': described(({ sdp }) => ({ sdp: { toString: sdp } })),
};

/** Changes of what the server forwards that gain nothing: the devices are connected, and to each other. */
const HARMLESS: Record<string, Forge> = {
  'claims that messages were refused': ofRun((frame) => [
    ...['unsupported', 'invalid_message', 'room_full'].map((code) => ({ type: 'error', code })),
    frame,
  ]),
  'repeats room_ready': (frame) => (frame.type === 'room_ready' ? Array(20).fill(frame) : [frame]),
  'swaps the initiator': (frame) => [{ ...frame, isInitiator: frame.isInitiator === false }],
  'adds candidates': (frame) =>
    frame.type === 'ice_candidate'
      ? [{ ...frame, candidate: { candidate: FOREIGN } }, { ...frame, candidate: 7 }, frame]
      : [frame],
  'adds messages of the run after its end': (frame) =>
    isDescription(frame)
      ? [frame, share(foreign), `${PREFIX}confirm:AAAA`, `${PREFIX}fail`].map((each) =>
          typeof each === 'string' ? { type: 'key_exchange', publicKey: each } : each,
        )
      : [frame],
};

/** Changes of what a device sends later; each must end the session. */
const LATER: Record<string, (frame: Frame, hostile: HostileServer, from: string) => Frame[]> = {
  'swaps the fingerprint of an offer': described(swapped, /offer/),
  'swaps the fingerprint of an answer': described(swapped, /answer/),
  'makes an offer of an answer': described(() => ({ type: 'webrtc_offer' }), /answer/),
  'reflects an offer': (frame, hostile, from) => {
    if (!isDescription(frame)) return [frame];
    hostile.say(from, { ...frame, from: 'x' });
    return [];
  },
};

describe('a server that', () => {
  test.each(Object.keys(FORGERIES))('%s ends the pairing before any connection', async (title) => {
    const scene = await stage(({ hostile }) => {
      hostile.toDevice = FORGERIES[title] as Forge;
    });
    const { host, guest } = scene;
    // One end notices, and leaves. For the other one, its peer is gone.
    await eventually(() => expect([...host.errors, ...guest.errors]).not.toEqual([]));
    for (const code of [...host.errors, ...guest.errors]) {
      expect(code).toMatch(/^(code_mismatch|unverified_peer)$/);
    }
    expectOnlyFrom(guest, host);
    expectOnlyFrom(host, guest);
    expect([...host.applied, ...guest.applied].filter((sdp) => sdp.includes(FORGED))).toEqual([]);
    expect([...host.states, ...guest.states]).not.toContain('connected');
    expectOneGuess(scene);
  });

  test.each(Object.keys(HARMLESS))('%s gains nothing', async (title) => {
    const scene = await stage(({ hostile }) => {
      hostile.toDevice = HARMLESS[title] as Forge;
    });
    const { host, guest } = scene;
    await connected(host, guest);
    // Handled after all that was sent before.
    host.session.restartIce();
    await eventually(() => expect(guest.applied.length + host.applied.length).toBeGreaterThan(2));
    expect([host, guest].map(({ session }) => [session.state, session.trust])).toEqual([
      ['connected', 'code'],
      ['connected', 'code'],
    ]);
    expectOnlyFrom(guest, host);
    expectOnlyFrom(host, guest);
    expect(scene.shares.size).toBe(2);
    expectOneGuess(scene);
  });

  test('reflects every message ends the pairing', async () => {
    const { host, guest } = await stage(({ hostile }) => {
      // Each device gets its own messages, from its peer as it seems.
      hostile.toServer = (frame, deviceId) => {
        if (isForwarded(frame)) hostile.say(deviceId, { ...frame, from: 'x' });
        return isForwarded(frame) ? [] : [frame];
      };
    });
    await eventually(() => expect([...host.errors, ...guest.errors]).not.toEqual([]));
    expect([...host.applied, ...guest.applied]).toEqual([]);
  });

  test('replays and reorders signed descriptions gains nothing, and the devices stay connected', async () => {
    const recorded: [string, Frame][] = [];
    const { hostile, host, guest } = await stage(({ hostile }) => {
      hostile.toDevice = (frame, deviceId) => {
        if (isForwarded(frame)) recorded.push([deviceId, frame]);
        return [frame];
      };
    });
    await connected(host, guest);
    // Everything again, in reverse order; then in an ICE restart.
    for (const [deviceId, frame] of [...recorded].reverse()) hostile.say(deviceId, frame);
    host.session.restartIce();
    for (const [deviceId, frame] of recorded) hostile.say(deviceId, frame);
    await eventually(() => expect(host.session.signaling).toBe('ready'));
    host.session.send('still here');
    await eventually(() => expect(guest.messages.splice(0)).toEqual(['still here']));
    expectOnlyFrom(guest, host);
    expectOnlyFrom(host, guest);
  });

  test.each(Object.keys(LATER))('%s in an ICE restart ends the session', async (title) => {
    const { host, guest, hostile } = await stage();
    await connected(host, guest);
    hostile.toServer = (frame, from) => LATER[title]?.(frame, hostile, from) ?? [];
    host.session.restartIce();
    // The one that notices, and the other one, which learns why its peer has left.
    for (const { errors } of [host, guest]) {
      await eventually(() => expect(errors).toEqual(['unverified_peer']));
    }
    expect([host.session.state, guest.session.state]).toEqual(['closed', 'closed']);
    expectOnlyFrom(guest, host);
    expectOnlyFrom(host, guest);
  });
});

test.each([
  ['accepted the first six digits of a verified code', [asB, undefined]],
  ['created the code', [undefined, asA]],
])(
  'a client without verification that %s is refused, and sees that its peer has left',
  async (_, known) => {
    const { host, guest, clock } = await stage(() => {}, { known });
    const [end, old] = known[0] ? [host, guest] : [guest, host];
    // At once if the old client makes the offer, and otherwise when the run is not completed in time.
    await eventually(() => {
      clock.advance(1000);
      expect(end.errors).toHaveLength(1);
    });
    await expectRefused(end, 'unverified_peer');
    await eventually(() => expect(old.session.signaling).toBe('joined'));
    expect([old.session.state, old.errors, old.applied]).toEqual(['connecting', [], []]);
  },
);

describe('a resumed pairing', () => {
  const key = base64url(new Uint8Array(32).fill(1));
  const other = base64url(new Uint8Array(32).fill(2));

  test.each([
    ['no key', undefined],
    ['another key', { role: 'a', key: other }],
    ['the key of the wrong role', { role: 'b', key }],
    ['a right code instead of the key', asA],
  ] as [string, Known | undefined][])('refuses a peer with %s', async (_, known) => {
    const { host, guest, clock } = await stage(() => {}, { known: [{ role: 'b', key }, known] });
    const { deviceId } = host;
    // The peer that makes the offer is refused; if this end makes it, the peer refuses it or its answer is refused.
    await eventually(() => {
      clock.advance(1000);
      expect([...host.errors, ...guest.errors].length).toBeGreaterThan(0);
    });
    expect([...host.errors, ...guest.errors]).toEqual(expect.arrayContaining(['unverified_peer']));
    expect(host.applied).toEqual([]);
    expect(host.states).not.toContain('connected');
    expect(deviceId).toBe(host.session.save().deviceId);
  });

  test('waits for its peer without a limit', async () => {
    const options = { known: [{ role: 'b', key } as const], rooms: ['one room', 'another room'] };
    const { host, clock } = await stage(() => {}, options);
    await eventually(() => expect(host.session.signaling).toBe('joined'));
    clock.advance(600_000);
    expect(host.errors).toEqual([]);
  });

  test('connects to the peer with the key, and ignores a run that the server begins', async () => {
    const scene = await stage(
      ({ hostile }) => {
        hostile.toDevice = (frame) =>
          isForwarded(frame)
            ? [{ type: 'key_exchange', publicKey: share(foreign) }, frame]
            : [frame];
      },
      {
        known: [
          { role: 'b', key },
          { role: 'a', key },
        ],
      },
    );
    await connected(scene.host, scene.guest);
    expect(scene.shares.size).toBe(0);
    expect(scene.host.session.trust).toBe('saved');
  });
});

test('a session that is closed at any moment leaves no timer and sends nothing more', async () => {
  for (let messages = 1; messages <= 8; messages++) {
    spent.clear();
    let [left, isClosed] = [messages, false];
    const late: Frame[] = [];
    const { host, guest, clock } = await stage(({ hostile, host }) => {
      hostile.toDevice = (frame, to) => {
        if (to === host.deviceId && --left === 0) {
          setImmediate(() => {
            host.session.close();
            isClosed = true;
          });
        }
        return [frame];
      };
      hostile.toServer = (frame, from) => {
        if (isClosed && from === host.deviceId && isForwarded(frame)) late.push(frame);
        return [frame];
      };
    });
    await eventually(() => expect(host.session.state).toBe('closed'));
    guest.session.close();
    // Operations of WebCrypto that had begun.
    await crypto.subtle.digest('SHA-512', new Uint8Array(2 ** 20));
    await new Promise((resolve) => setImmediate(resolve));
    expect(clock.pending).toBe(0);
    expect(late).toEqual([]);
  }
});

test('a session that is closed while it signs leaves no timer', async () => {
  const { host, guest, hostile, clock, shares } = await stage(({ hostile }) => {
    hostile.toDevice = (frame) => (/:confirm:/.test(String(frame.publicKey)) ? [] : [frame]);
  });
  await eventually(() => expect(shares.size).toBe(2));
  guest.session.close();
  const { subtle } = crypto;
  const sign = vi.spyOn(subtle, 'sign').mockImplementationOnce((...args) => {
    host.session.close();
    return subtle.sign(...args);
  });
  onTestFinished(() => sign.mockRestore());
  hostile.say(host.deviceId, { type: 'room_ready', isInitiator: true });
  await eventually(() => expect(host.session.state).toBe('closed'));
  await Promise.all(sign.mock.results.map(({ value }) => value));
  await new Promise((resolve) => setImmediate(resolve));
  expect(clock.pending).toBe(0);
});
