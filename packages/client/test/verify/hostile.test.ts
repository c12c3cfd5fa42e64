// A hostile server against verified pairings: the real server behind a proxy that forges, strips, swaps, replays and guesses.
// Nothing of the attacker is ever applied, and no message gets through. The same attacker gets in if it knows the secret.
import type { Frame } from '@couplet/testkit/browser';
import { eventually } from '@couplet/testkit/eventually';
import { startServer } from '@couplet/testkit/server';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Couplet, CoupletOptions, PeerSession } from '../../src/index.js';
import { fingerprintsOf } from '../../src/session/peer-identity.js';
import { Authenticator, type Role } from '../../src/verify/pairing-key.js';
import { Run } from '../../src/verify/run.js';
import { devicesOf } from '../support/fake-device.js';
import { FakePeerConnection } from '../support/fake-peer-connection.js';
import { type HostileServer, startHostileServer } from '../support/hostile-server.js';

const server = await startServer();
afterAll(() => server.close());

const PREFIX = 'couplet-cpace1:';
const isRun = ({ publicKey }: Frame) => String(publicKey).startsWith(PREFIX);
const isDescription = ({ type }: Frame) => /^webrtc_(offer|answer)$/.test(type);
const isForwarded = (frame: Frame) => isDescription(frame) || /^key_|^ice_/.test(frame.type);

/** One device of the pairing, and everything that its application and its peer connections have seen. */
interface Victim {
  couplet: Couplet;
  session?: PeerSession;
  connections: FakePeerConnection[];
  messages: unknown[];
  errors: string[];
  ended: Promise<unknown>;
}

function watching(victim: Victim) {
  return (session: PeerSession) => {
    victim.session = session;
    onTestFinished(() => session.close());
    session.on('message', (message) => victim.messages.push(message));
    session.on('error', ({ code }) => victim.errors.push(code));
    session.on('peer', (peer) => victim.connections.push(peer as unknown as FakePeerConnection));
  };
}

async function start(
  attack: (hostile: HostileServer, host: Victim, guest: Victim) => void,
  options: Partial<CoupletOptions> = {},
) {
  const hostile = await startHostileServer(server);
  const device = devicesOf(hostile);
  const [host, guest] = [device(options), device(options)].map(
    (couplet): Victim => ({
      ...{ couplet, connections: [], messages: [], errors: [] },
      ended: Promise.resolve(),
    }),
  ) as [Victim, Victim];
  attack(hostile, host, guest);
  const { code, accepted } = await host.couplet.invite({
    verify: true,
    onSession: watching(host),
  });
  guest.ended = guest.couplet.accept(code, { onSession: watching(guest) }).catch(() => {});
  host.ended = accepted.catch(() => {});
  return { hostile, host, guest, code };
}

/** The fingerprints of the peer in all descriptions that were applied. */
const appliedTo = (victim: Victim) =>
  victim.connections.flatMap(({ remoteDescription }) =>
    fingerprintsOf(remoteDescription?.sdp ?? ''),
  );

/** Fails if anything that the other device did not send was applied or received. */
function expectUnharmed(victim: Victim, other: Victim): void {
  expect(victim.messages).toEqual([]);
  const own = other.connections.map(({ fingerprint }) =>
    fingerprintsOf(`a=fingerprint:${fingerprint}`),
  );
  for (const fingerprint of appliedTo(victim)) expect(own.flat()).toContain(fingerprint);
}

const FORGED = `sha-256 ${'AB:'.repeat(31)}AB`;
const swapped = (frame: Frame): Frame => ({
  ...frame,
  sdp: String(frame.sdp).replace(/sha-256 \S+/g, FORGED),
});

/** Changes what the server forwards to both devices. */
type Forge = (frame: Frame, seen: Frame[]) => Frame[];

const forgeries: Record<string, Forge> = {
  'swaps the fingerprint of offers': (frame) =>
    frame.type === 'webrtc_offer' ? [swapped(frame)] : [frame],
  'swaps the fingerprint of answers': (frame) =>
    frame.type === 'webrtc_answer' ? [swapped(frame)] : [frame],
  'strips the MAC of descriptions': ({ mac: _, ...frame }) => [frame as Frame],
  'swaps the fingerprint, and strips the MAC': ({ mac: _, ...frame }) =>
    isDescription(frame as Frame) ? [swapped(frame as Frame)] : [frame as Frame],
  'makes an answer of an offer': (frame) =>
    frame.type === 'webrtc_offer' ? [{ ...frame, type: 'webrtc_answer' }] : [frame],
  'cuts the MAC': (frame) =>
    isDescription(frame) ? [{ ...frame, mac: String(frame.mac).slice(4) }] : [frame],
  'sends an offer of its own before the confirmation': (frame) =>
    isRun(frame) ? [{ type: 'webrtc_offer', sdp: `a=fingerprint:${FORGED}\r\n` }, frame] : [frame],
  'sends another key before the confirmation': (frame) =>
    isRun(frame) ? [{ type: 'key_exchange', publicKey: 'AAAA' }, frame] : [frame],
  'strips the tags': (frame) =>
    isRun(frame)
      ? [{ ...frame, publicKey: String(frame.publicKey).replace(/:[^:]*$/, ':') }]
      : [frame],
  'swaps the device ids': (frame) =>
    isRun(frame)
      ? [
          {
            ...frame,
            publicKey: String(frame.publicKey).replace(/^((?:[^:]*:){4})[^:]*/, '$1AAAA'),
          },
        ]
      : [frame],
  'swaps the kind of the code': (frame) =>
    isRun(frame)
      ? [{ ...frame, publicKey: String(frame.publicKey).replace(':code:', ':link:') }]
      : [frame],
  'sends shares of low order': (frame) =>
    isRun(frame)
      ? [
          {
            ...frame,
            publicKey: String(frame.publicKey).replace(/(:code:)[^:]*/, `$1${'A'.repeat(43)}`),
          },
        ]
      : [frame],
  'sends shares that are not base64url': (frame) =>
    isRun(frame)
      ? [{ ...frame, publicKey: String(frame.publicKey).replace(/(:code:)[^:]*/, '$1*') }]
      : [frame],
  'sends messages of the run without fields': (frame) =>
    isRun(frame) ? [{ ...frame, publicKey: `${PREFIX}share` }] : [frame],
  'sends a second share': (frame) =>
    isRun(frame)
      ? [frame, { ...frame, publicKey: `${PREFIX}share:code:${'A'.repeat(43)}:AAAA:AAAA` }]
      : [frame],
  'reports a mismatch': (frame) =>
    isRun(frame) ? [{ ...frame, publicKey: `${PREFIX}fail` }] : [frame],
  'sends a run that is no text': (frame) =>
    isRun(frame) ? [{ type: 'key_exchange', publicKey: 7 as never }] : [frame],
};

describe('a server that', () => {
  test.each(Object.keys(forgeries))('%s ends the pairing', async (title) => {
    const seen: Frame[] = [];
    const { host, guest } = await start((hostile) => {
      hostile.toDevice = (frame) =>
        isForwarded(frame) ? (forgeries[title] as Forge)(frame, seen) : [frame];
    });
    // The first one to notice ends. The other one either notices too, or its peer has left.
    await eventually(() => expect([...host.errors, ...guest.errors].length).toBeGreaterThan(0));
    for (const code of [...host.errors, ...guest.errors]) {
      expect(code).toMatch(/^(code_mismatch|unverified_peer)$/);
    }
    expectUnharmed(host, guest);
    expectUnharmed(guest, host);
    const states = [host, guest].map(({ session }) => session?.state);
    expect(states).not.toContain('connected');
  });

  test('reflects every message ends the pairing', async () => {
    const { host, guest } = await start((hostile) => {
      // Each device gets its own messages, from its peer as it seems.
      hostile.toServer = (frame, deviceId) => {
        if (isForwarded(frame)) hostile.say(deviceId, { ...frame, from: 'x' });
        return isForwarded(frame) ? [] : [frame];
      };
    });
    await eventually(() => expect([...host.errors, ...guest.errors].length).toBeGreaterThan(0));
    expectUnharmed(host, guest);
    expectUnharmed(guest, host);
  });

  test('replays and reorders signed descriptions gains nothing, and the devices stay connected', async () => {
    const recorded: [string, Frame][] = [];
    const { hostile, host, guest } = await start((hostile) => {
      hostile.toDevice = (frame, deviceId) => {
        if (isForwarded(frame)) recorded.push([deviceId, frame]);
        return [frame];
      };
    });
    await Promise.all([host.ended, guest.ended]);
    expect([host.session?.state, guest.session?.state]).toEqual(['connected', 'connected']);
    // Everything again, in reverse order; then in an ICE restart.
    for (const [deviceId, frame] of [...recorded].reverse()) hostile.say(deviceId, frame);
    host.session?.restartIce();
    for (const [deviceId, frame] of recorded) hostile.say(deviceId, frame);
    await eventually(() => expect(host.session?.signaling).toBe('ready'));
    host.session?.send('still here');
    await eventually(() => expect(guest.messages.splice(0)).toEqual(['still here']));
    expectUnharmed(host, guest);
    expectUnharmed(guest, host);
    expect([host.session?.trust, guest.session?.trust]).toEqual(['code', 'code']);
  });

  test.each(['webrtc_offer', 'webrtc_answer'])(
    'swaps the fingerprint of a later %s, in an ICE restart, ends the session',
    async (type) => {
      let isHostile = false;
      const { host, guest } = await start((hostile) => {
        hostile.toDevice = (frame) =>
          isHostile && frame.type === type ? [swapped(frame)] : [frame];
      });
      await Promise.all([host.ended, guest.ended]);
      isHostile = true;
      host.session?.restartIce();
      const [victim, other] = type === 'webrtc_offer' ? [guest, host] : [host, guest];
      // The other one learns why its peer has left.
      await eventually(() =>
        expect([victim, other].map(({ errors }) => errors)).toEqual([
          ['unverified_peer'],
          ['unverified_peer'],
        ]),
      );
      expect([victim.session?.state, other.session?.state]).toEqual(['closed', 'closed']);
      expectUnharmed(host, guest);
      expectUnharmed(guest, host);
    },
  );
});

/** Takes the place of the peer of one device, with a secret that it guesses. */
class Impostor {
  readonly pc = new FakePeerConnection({});
  readonly #role: Role;
  readonly #say: (frame: Frame) => void;
  readonly #run: Run;
  readonly #roomId: string;
  #authenticator: Authenticator | undefined;

  constructor(role: Role, roomId: string, code: string, say: (frame: Frame) => void) {
    this.#role = role;
    this.#roomId = roomId;
    this.#run = new Run({ role, roomId, deviceId: 'impostor', secrets: { code } });
    this.#say = say;
    this.pc.createDataChannel();
    if (role === 'a') void this.#share('');
  }

  async hear(frame: Frame): Promise<void> {
    if (isRun(frame)) return this.#step(String(frame.publicKey).slice(PREFIX.length).split(':'));
    if (!isDescription(frame)) return;
    const type = frame.type === 'webrtc_offer' ? 'offer' : 'answer';
    await this.pc.setRemoteDescription({ type, sdp: String(frame.sdp) });
    if (type === 'offer') await this.#describe();
  }

  async #step([step, kind = '', share = '', device = '']: string[]): Promise<void> {
    if (step === 'share') {
      const key = await this.#run.take({ kind, share, device });
      this.#authenticator = await Authenticator.of(key, this.#role, this.#roomId);
      const tag = await this.#authenticator.sign('confirm');
      if (this.#role === 'b') await this.#share(tag);
      else this.#send(`confirm:${tag}`);
    } else if (step === 'confirm' && this.#role === 'b') await this.#describe();
  }

  async #share(tag: string): Promise<void> {
    const { share, device } = await this.#run.share('code');
    this.#send(`share:code:${share}:${device}:${tag}`);
  }

  async #describe(): Promise<void> {
    await this.pc.setLocalDescription();
    const { type, sdp } = this.pc.localDescription as { type: string; sdp: string };
    const mac = await this.#authenticator?.sign(`webrtc_${type}`, sdp);
    this.#say({ type: `webrtc_${type}`, sdp, mac });
  }

  #send(publicKey: string): void {
    this.#say({ type: 'key_exchange', publicKey: PREFIX + publicKey });
  }
}

/** A code with the same join code and another secret, and a right check digit. */
async function otherCode(code: string, couplet: Couplet): Promise<string> {
  const secret = String((Number(code.slice(6, 11)) + 1) % 100_000).padStart(5, '0');
  for (let last = 0; ; last++) {
    const guess = code.slice(0, 6) + secret + last;
    const refused = await couplet
      .accept(guess, { signal: AbortSignal.abort() })
      .catch((error) => error.code);
    if (refused !== 'code_mistyped') return guess;
  }
}

describe.each([
  ['the device that accepts the code', 'b'],
  ['the device that created it', 'a'],
] as const)('an impostor in the place of the peer of %s', (_, role) => {
  test.each([
    ['gets in if it knows the secret: the attack works', true],
    ['has one guess, and nothing gets through after a wrong one', false],
  ])('%s', async (_, knows) => {
    const impostors: Impostor[] = [];
    let secret = '';
    const early: Frame[] = [];
    const { hostile, host, guest, code } = await start((hostile, host, guest) => {
      const { deviceId } = (role === 'b' ? guest : host).couplet;
      // The victim hears only the impostor.
      hostile.toDevice = (frame, to) => (to === deviceId && isForwarded(frame) ? [] : [frame]);
      hostile.toServer = (frame, from) => {
        if (from !== deviceId || !isForwarded(frame)) return [frame];
        if (impostors[0]) void impostors[0].hear(frame).catch(() => {});
        else early.push(frame);
        return [];
      };
    });
    const victim = role === 'b' ? guest : host;
    secret = knows ? code : await otherCode(code, host.couplet);
    await eventually(() => expect(victim.session?.signaling).toBe('joined'));
    const { roomId } = (victim.session as PeerSession).save();
    const say = (frame: Frame) => hostile.say(victim.couplet.deviceId, { ...frame, from: 'x' });
    const impostor = new Impostor(role, roomId, secret, say);
    impostors.push(impostor);
    for (const frame of early.splice(0)) await impostor.hear(frame);
    if (knows) {
      await eventually(() => expect(victim.session?.state).toBe('connected'));
      impostor.pc.channel.send('from the impostor');
      await eventually(() => expect(victim.messages).toEqual(['from the impostor']));
      expect(victim.session?.trust).toBe('code');
      return;
    }
    await eventually(() => expect(victim.errors).toEqual(['code_mismatch']));
    expect([victim.session?.state, victim.session?.trust]).toEqual(['closed', 'none']);
    // Nothing was applied, and the code cannot be used for a second run.
    expect([appliedTo(victim), victim.messages]).toEqual([[], []]);
    if (role === 'b') {
      await expect(guest.couplet.accept(code)).rejects.toMatchObject({ code: 'code_mismatch' });
    }
  });
});
