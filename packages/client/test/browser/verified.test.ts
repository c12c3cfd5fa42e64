// Tests verified sessions in Chromium and Firefox against a server that swaps certificates: every swap raises an alarm.
import { randomBytes } from 'node:crypto';
import type { Device, Frame } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { serverForTest } from '@couplet/testkit/server';
import { describe, expect, test } from 'vitest';
import {
  type ClientPage,
  deviceOpeners,
  expectKept,
  expectTalk,
  inPage,
  pair,
  ufragOf,
} from '../support/client-page.js';
import { startHostileServer } from '../support/hostile-server.js';

type Swap = (sdp: string, other: string) => string;

/** Descriptions of the peer with another certificate, in forms that some browsers accept. They run in a page. */
const SWAPS: Swap[] = [
  (sdp, other) => sdp.replace(/a=fingerprint:sha-256 \S+/g, `a=fingerprint:sha-256 ${other}`),
  (sdp, other) => sdp.replace(/a=fingerprint:sha-256 \S+/g, `a=fingerprint:sha-256\t${other}`),
  (sdp, other) => sdp.replace(/a=fingerprint:.*/g, `$&\r\na=fingerprint:sha-256\t${other}`),
  (sdp, other) => sdp.replace(/a=fingerprint:sha-256 \S+/g, `a=FINGERPRINT:sha-256 ${other}`),
  (sdp, other) => sdp.replace(/a=fingerprint:.*/g, `$&\r\na=:fingerprint:sha-256 ${other}`),
  // A section of its own, outside of the group.
  (sdp, other) =>
    `${sdp.replace(/\r\n$/, '')}\r\n${[
      ...['m=audio 9 UDP/TLS/RTP/SAVPF 0', 'c=IN IP4 0.0.0.0', 'a=mid:apart', 'a=rtcp-mux'],
      ...['a=sendrecv', 'a=setup:actpass', 'a=ice-ufrag:abcdefgh'],
      ...['a=ice-pwd:abcdefghijklmnopqrstuvwx', `a=fingerprint:sha-256\t${other}`],
    ].join('\r\n')}\r\n`,
];

describeWith(['chromium', 'firefox-esr'], 'a verified session on a server that swaps', () => {
  const openers = deviceOpeners();

  const start = async () => startHostileServer(await serverForTest());

  describe.each(['chromium', 'firefox'] as const)('%s', (engine) => {
    const open = openers[engine];

    test('a swap is undetected before a key exchange, and raises an alarm after it', async () => {
      for (const verified of [false, true]) {
        const server = await start();
        const [host, guest, attacker] = [await open(), await open(), await open()];
        await pair(server.url, host, guest);
        if (verified) await exchange(host, guest);
        const { roomId, deviceId } = await inPage(guest, ({ session }) => session.save());
        const answers: Frame[] = [];
        server.toServer = (message, from) => {
          if (from === deviceId) answers.push(message);
          return from === deviceId ? [] : [message];
        };
        const sdp = await inPage(attacker, offerAsAttacker);
        server.say(deviceId, { type: 'webrtc_offer', from: 'x', roomId, sdp });
        if (!verified) {
          await eventually(() =>
            expect(answers).toContainEqual({ type: 'ice_candidate', candidate: null }),
          );
          await inPage(attacker, takeAsAttacker, answers);
          await expect
            .poll(() => inPage(guest, ({ messages, tracks }) => ({ messages, tracks })))
            .toEqual({ messages: ['from the attacker'], tracks: ['audio'] });
          continue;
        }
        await expectAlarm(guest);
        expect(answers.filter(({ type }) => type.startsWith('webrtc'))).toEqual([]);
      }
    });

    test('a description that the browser parses differently does not count as the verified peer', async () => {
      const device = await open();
      for (const swap of SWAPS) {
        const other = randomBytes(32).toString('hex').toUpperCase().match(/../g)?.join(':') ?? '';
        const taken = await inPage(device, applyUnchecked, { swap: String(swap), other });
        expect(taken.before, String(swap)).toEqual({ holds: true, certificates: 1 });
        // Firefox accepts all of them, Chromium some.
        if (engine === 'firefox') expect(taken.isFooled, String(swap)).toBe(true);
        expect(taken.holds, String(swap)).toBe(!taken.isFooled);
      }
    });
  });

  test.each([
    ['chromium', 'chromium'],
    ['firefox', 'firefox'],
    ['chromium', 'firefox'],
    ['firefox', 'chromium'],
  ] as const)('%s with %s: honest peers raise no alarm', async (one, two) => {
    const server = await start();
    const [host, guest] = [await openers[one](), await openers[two]()];
    await pair(server.url, host, guest);
    await exchange(host, guest);
    // An interruption during a restart loses candidates, so finding the path takes long.
    let gathered = 0;
    server.toServer = (message) => {
      if (message.type === 'ice_candidate' && message.candidate === null) gathered += 1;
      return [message];
    };
    for (const [from, to] of [
      [host, guest],
      [guest, host],
    ] as const) {
      await inPage(from, addTracks);
      await expect.poll(() => inPage(to, ({ tracks }) => tracks.length)).toBe(2);
      await inPage(from, ({ session }) => session.peer?.getTransceivers().at(-1)?.stop());
      // About one in some dozens of restarts with Firefox finds no path for 15 seconds (ARCHITECTURE.md, Client).
      if (one === 'firefox' || two === 'firefox') continue;
      gathered = 0;
      const generations = [await ufragOf(from), await ufragOf(to)];
      await inPage(from, ({ session }) => session.restartIce());
      for (const [n, device] of [from, to].entries()) {
        await expect.poll(() => ufragOf(device)).not.toBe(generations[n]);
      }
      await expect.poll(() => gathered).toBeGreaterThanOrEqual(2);
    }
    await expectTalk(host, guest);
    server.cut();
    await expect.poll(() => inPage(host, ({ session }) => session.signaling)).toBe('ready');
    await expectTalk(host, guest);
    await exchange(host, guest);
    await expectKept(host, guest);
    for (const device of [host, guest]) {
      expect(await inPage(device, ({ errors }) => errors)).toEqual([]);
    }
  });
});

/** Exchanges keys on both devices, and expects the same digits. */
async function exchange(host: Device, guest: Device): Promise<void> {
  const [one, other] = await Promise.all(
    [host, guest].map((device) =>
      inPage(device, async ({ session, exchangeKeys }) => (await exchangeKeys(session)).sas),
    ),
  );
  expect(one).toBe(other);
}

/** Expects that the session ended with peer_changed, and that nothing from the other device arrived. */
async function expectAlarm(device: Device): Promise<void> {
  const reported = () =>
    inPage(device, ({ session, first, errors, states, messages, tracks }) => {
      let thrown = '';
      try {
        session.send('a secret');
      } catch (error) {
        thrown = (error as { code: string }).code;
      }
      const { state, peer } = session;
      const connection = first?.connectionState;
      return { thrown, state, peer, connection, errors, states, messages, tracks };
    });
  await expect.poll(async () => (await reported()).state).toBe('closed');
  const { states, ...rest } = await reported();
  expect(rest).toEqual({
    ...{ thrown: 'peer_changed', state: 'closed', peer: undefined, connection: 'closed' },
    ...{ errors: ['peer_changed'], messages: [], tracks: [] },
  });
  expect(states).not.toContain('connected');
}

// The functions below run in a page.

function addTracks({ session }: ClientPage): void {
  for (const kind of ['audio', 'video']) session.peer?.addTransceiver(kind);
}

/** An offer of the attacker's own connection, with all its candidates, a track, and a message on connect. */
async function offerAsAttacker(page: ClientPage): Promise<string> {
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  Object.assign(page, { pc });
  const channel = pc.createDataChannel('couplet', { negotiated: true, id: 0 });
  channel.onopen = () => channel.send('from the attacker');
  pc.addTransceiver('audio');
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== 'complete') {
    await new Promise((resolve) => pc.addEventListener('icegatheringstatechange', resolve));
  }
  return pc.localDescription?.sdp ?? '';
}

async function takeAsAttacker(page: ClientPage, messages: Frame[]): Promise<void> {
  const { pc } = page as unknown as { pc: RTCPeerConnection };
  for (const message of messages) {
    if (message.type === 'webrtc_answer') {
      await pc.setRemoteDescription({ type: 'answer', sdp: String(message.sdp) });
    }
  }
  for (const message of messages) {
    if (message.type === 'ice_candidate') {
      await pc.addIceCandidate(message.candidate as RTCIceCandidateInit | undefined);
    }
  }
}

/** Connects two peer connections, pins one, and applies a description that the client would refuse. */
async function applyUnchecked(_page: ClientPage, options: { swap: string; other: string }) {
  // An internal module of the package. The test runner would replace a static import.
  const load = new Function('return import("/client/key-exchange/certificate-pin.js")');
  const { CertificatePin } = (await load()) as {
    CertificatePin: new (
      pc: RTCPeerConnection,
    ) => {
      verify(pc: RTCPeerConnection): Promise<boolean>;
      holds(pc: RTCPeerConnection): boolean;
    };
  };
  const swap = new Function(`return ${options.swap}`)() as Swap;
  const [one, two] = [new RTCPeerConnection(), new RTCPeerConnection()];
  one.onicecandidate = ({ candidate }) => void two.addIceCandidate(candidate).catch(() => {});
  two.onicecandidate = ({ candidate }) => void one.addIceCandidate(candidate).catch(() => {});
  const channel = one.createDataChannel('data');
  await one.setLocalDescription();
  await two.setRemoteDescription(one.localDescription as RTCSessionDescription);
  await two.setLocalDescription();
  await one.setRemoteDescription(two.localDescription as RTCSessionDescription);
  await new Promise((resolve) => {
    channel.onopen = resolve;
  });
  const pin = new CertificatePin(two);
  const before = {
    holds: await pin.verify(two),
    certificates: two.sctp?.transport.getRemoteCertificates().length,
  };
  await one.setLocalDescription();
  const sdp = swap(one.localDescription?.sdp ?? '', options.other);
  // If it refuses the description, the previous one stays.
  await two.setRemoteDescription({ type: 'offer', sdp }).catch(() => {});
  const isFooled = two.remoteDescription?.sdp.includes(options.other);
  const holds = pin.holds(two);
  one.close();
  two.close();
  return { before, isFooled, holds };
}
