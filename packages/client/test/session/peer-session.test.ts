// Tests sessions through a real server, on fake peer connections: reconnects, key exchange and errors.
import { randomUUID } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { eventually } from '@couplet/testkit/eventually';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import {
  Couplet,
  type CoupletError,
  type CoupletOptions,
  exchangeKeys,
  type PeerSession,
  type SavedSession,
  type SessionState,
} from '../../src/index.js';
import { bufferOf, FakePeerConnection } from '../support/fake-peer-connection.js';

const server = await startServer({ STUN_URLS: 'stun:stun.example:3478' });
afterAll(() => server.close());

const RTCPeerConnection = FakePeerConnection as unknown as NonNullable<
  CoupletOptions['RTCPeerConnection']
>;
const device = (more: Partial<CoupletOptions> = {}) =>
  new Couplet({ url: `${server.url}/`, WebSocket, RTCPeerConnection, ...more });

const fakeOf = (session: PeerSession) => session.peer as unknown as FakePeerConnection;

async function pair(options: Partial<CoupletOptions> = {}): Promise<[PeerSession, PeerSession]> {
  const invite = await device(options).invite();
  const guest = await device(options).accept(invite.code);
  const host = await invite.accepted;
  onTestFinished(() => {
    host.close();
    guest.close();
  });
  return [host, guest];
}

async function expectTalk(host: PeerSession, guest: PeerSession): Promise<void> {
  for (const [from, to] of [
    [host, guest],
    [guest, host],
  ] as const) {
    const text = randomUUID();
    const heard = new Promise((resolve) => {
      const off = to.on('message', (message) => {
        off();
        resolve(message);
      });
    });
    from.send(text);
    expect(await heard).toBe(text);
  }
}

test('both devices get a session, and text arrives in both directions', async () => {
  const [host, guest] = await pair();
  expect([host.state, guest.state]).toEqual(['connected', 'connected']);
  await expectTalk(host, guest);
  for (const session of [host, guest]) {
    await eventually(() => expect(session.path).toBe('host'));
    expect(fakeOf(session).configurations[0]).toEqual({
      bundlePolicy: 'max-bundle',
      iceServers: [{ urls: ['stun:stun.example:3478'] }],
    });
    await eventually(() => expect(fakeOf(session).candidates).toHaveLength(2));
    expect(fakeOf(session).candidates[1]).toBeNull();
    expect(session.channel).toMatchObject({ binaryType: 'arraybuffer' });
  }
});

test.each([0, 1])('the devices connect in either order of joins (%i first)', async (which) => {
  const [host, guest] = await pair();
  const saved = [host.save(), guest.save()];
  for (const session of [host, guest]) session.close();
  const early = saved[which] as SavedSession;
  const late = saved[1 - which] as SavedSession;
  const sessions: PeerSession[] = [];
  const waiting = device().resume(early, { onSession: (session) => sessions.push(session) });
  await eventually(() => expect(sessions[0]?.signaling).toBe('joined'));
  const second = await device().resume(late);
  const first = await waiting;
  onTestFinished(() => {
    first.close();
    second.close();
  });
  // The role depends on the device, not on the order of joins.
  expect([first.isInitiator, second.isInitiator]).toEqual([which === 0, which === 1]);
  await expectTalk(first, second);
});

test('both exchange keys through the server, and get the same digits', async () => {
  const sessions = await pair();
  const keys = await Promise.all(sessions.map((session) => exchangeKeys(session)));
  expect(keys[0]?.sas).toBe(keys[1]?.sas);
});

test('a peer that changes the session id in each description is the same peer', async () => {
  const sockets: WebSocket[] = [];
  class Kept extends WebSocket {
    constructor(url: string) {
      super(url);
      sockets.push(this);
    }
  }
  const [host, guest] = await pair({ WebSocket: Kept });
  const peers = [host.peer, guest.peer];
  const exchanged = () =>
    [host, guest].map((session) => session.peer?.remoteDescription?.sdp.match(/^o=.*/m)?.[0]);
  fakeOf(guest).unsteady = true;
  for (const restart of [false, true]) {
    const before = exchanged();
    if (restart) fakeOf(guest).restartIce();
    else for (const socket of sockets) socket.terminate();
    await eventually(() => {
      for (const [n, line] of exchanged().entries()) expect(line).not.toBe(before[n]);
    });
    expect([host.peer, guest.peer]).toEqual(peers);
    await expectTalk(host, guest);
  }
});

/** A connected pair that has exchanged keys, and the later events of each session. */
async function verifiedPair() {
  const sessions = await pair();
  await Promise.all(sessions.map((session) => exchangeKeys(session)));
  const reported = sessions.map((session) => {
    const events: unknown[] = [];
    session.on('error', ({ code }) => events.push(code, fakeOf(session)?.signalingState));
    session.on('state', (state) => events.push(state));
    session.on('peer', () => events.push('peer'));
    session.on('message', (message) => events.push(message));
    return events;
  });
  return { sessions, reported };
}

/** Expects that an alarm ended the session: the connection was closed first, and nothing is sent or received. */
async function expectAlarm(session: PeerSession, pc: FakePeerConnection, reported: unknown[]) {
  await eventually(() => expect(session.state).toBe('closed'));
  expect(reported).toEqual(['peer_changed', undefined, 'closed']);
  expect(pc.signalingState).toBe('closed');
  expect(() => session.send('x')).toThrow(expect.objectContaining({ code: 'peer_changed' }));
  await expect(session.drained()).rejects.toMatchObject({ code: 'peer_changed' });
  pc.channel.onmessage?.({ data: 'late' });
  expect(reported).toHaveLength(3);
}

test('after an exchange of keys, a description with another certificate is not applied and ends the session', async () => {
  const { sessions, reported } = await verifiedPair();
  const [host, guest] = sessions;
  const verified = fakeOf(guest);
  const applied = verified.remoteDescription;
  fakeOf(host).fingerprint = 'sha-256 FF';
  fakeOf(host).restartIce();
  await expectAlarm(guest, verified, reported[1] as unknown[]);
  expect(verified.remoteDescription).toBe(applied);
});

test('after an exchange of keys, a description that the platform parses differently ends the session', async () => {
  const { sessions, reported } = await verifiedPair();
  const [host, guest] = sessions;
  const verified = fakeOf(guest);
  const answered = verified.localDescription;
  verified.read = (sdp) => sdp.replace(/^a=fingerprint.*/m, 'a=fingerprint:sha-256 EE');
  fakeOf(host).restartIce();
  await expectAlarm(guest, verified, reported[1] as unknown[]);
  // Without an answer, no data flows.
  expect(verified.localDescription).toBe(answered);
});

test.each(['data', 'tracks'])(
  'after an exchange of keys, another certificate on the transport of %s ends the session',
  async (which) => {
    const { sessions, reported } = await verifiedPair();
    const verified = fakeOf(sessions[1]);
    const getRemoteCertificates = () => [bufferOf(Buffer.from('of another'))];
    if (which === 'data') Object.assign(verified.sctp.transport, { getRemoteCertificates });
    else verified.receivers.push({ transport: { getRemoteCertificates } });
    verified.become('connected');
    await expectAlarm(sessions[1], verified, reported[1] as unknown[]);
  },
);

test.each(['data', 'tracks'])(
  'keys are not exchanged over a connection whose transport of %s has another certificate',
  async (which) => {
    const sessions = await pair();
    const getRemoteCertificates = () => [bufferOf(Buffer.from('of another'))];
    const pc = fakeOf(sessions[1]);
    if (which === 'data') Object.assign(pc.sctp.transport, { getRemoteCertificates });
    else pc.receivers.push({ transport: { getRemoteCertificates } });
    await expect(exchangeKeys(sessions[1])).rejects.toMatchObject({ code: 'key_mismatch' });
  },
);

test.each(['reloads', 'leaves and returns'])(
  'after an exchange of keys, a peer that %s no longer counts as verified; a new session can be verified',
  async (how) => {
    const { sessions, reported } = await verifiedPair();
    const [host, guest] = sessions;
    const saved = [host.save(), guest.save()] as const;
    // The channel may be closed before the new connection of the peer is known.
    if (how === 'reloads') fakeOf(host).channel.readyState = 'closed';
    if (how !== 'reloads') {
      guest.close();
      await eventually(() => expect(host.state).toBe('connecting'));
      expect(() => host.send('x')).toThrow(expect.objectContaining({ code: 'not_connected' }));
    }
    const returning = device().resume(saved[1]);
    await eventually(() => expect(host.state).toBe('closed'));
    expect(reported[0]).toContain('peer_changed');
    expect(reported[0]).not.toContain('connected');
    const again = await Promise.all([device().resume(saved[0]), returning]);
    onTestFinished(() => {
      for (const session of again) session.close();
    });
    // The old connection was not replaced by one with another peer.
    if (how === 'reloads') expect(reported[0]).not.toContain('peer');
    await expectTalk(...again);
    const [one, other] = await Promise.all(again.map((session) => exchangeKeys(session)));
    expect(one?.sas).toBe(other?.sas);
  },
);

test('after an exchange of keys, a restart, an outage of signaling and a second exchange change nothing', async () => {
  const { sessions, reported } = await verifiedPair();
  const peers = sessions.map(({ peer }) => peer);
  for (const session of sessions) fakeOf(session).become('failed');
  await eventually(() =>
    expect(sessions.map(({ state }) => state)).toEqual(['connected', 'connected']),
  );
  await Promise.all(sessions.map((session) => exchangeKeys(session)));
  expect(sessions.map(({ peer }) => peer)).toEqual(peers);
  await expectTalk(...sessions);
  expect(reported.flat()).not.toContain('peer_changed');
});

test('a description with another certificate belongs to another connection', async () => {
  const [host, guest] = await pair();
  const verified = guest.peer;
  fakeOf(host).fingerprint = 'sha-256 FF';
  fakeOf(host).restartIce();
  await eventually(() => expect(guest.peer).not.toBe(verified));
});

test('the ICE servers of a pairing are sent only to its devices', async () => {
  const [host] = await pair();
  const saved = host.save();
  expect(await device().iceServers(saved)).toEqual([{ urls: ['stun:stun.example:3478'] }]);
  const { signal } = new AbortController();
  await expect(
    device().iceServers({ ...saved, deviceId: 'stranger' }, { signal }),
  ).rejects.toMatchObject({ code: 'forbidden' });
});

test('if onSession throws, the call rejects with that error, and the session is closed', async () => {
  const fault = new Error('of the application');
  const sessions: PeerSession[] = [];
  const saved = { version: 1, roomId: randomUUID(), deviceId: 'alone' } as const;
  const onSession = (session: PeerSession) => {
    sessions.push(session);
    throw fault;
  };
  await expect(device().resume(saved, { onSession })).rejects.toBe(fault);
  expect(sessions[0]?.state).toBe('closed');
});

test.each(['invite', 'accept', 'purge', 'iceServers'] as const)(
  'an aborted %s rejects with aborted, and removes its listener from the signal',
  async (method) => {
    const abort = new AbortController();
    const options = { signal: abort.signal };
    const fetch = (_url: string, { signal }: RequestInit) =>
      new Promise<Response>((_, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('gone')));
      });
    const couplet = device({ fetch });
    const calls = {
      invite: () => couplet.invite(options),
      accept: () => couplet.accept('042137', options),
      purge: () => couplet.purge(options),
      iceServers: () =>
        couplet.iceServers({ version: 1, roomId: 'room', deviceId: 'device' }, options),
    };
    const call = calls[method]();
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'aborted' });
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  },
);

test('an invite that is aborted while its code is live rejects, and removes its listener from the signal', async () => {
  const abort = new AbortController();
  const invite = await device().invite({ signal: abort.signal });
  abort.abort('enough');
  await expect(invite.accepted).rejects.toMatchObject({ code: 'aborted', cause: 'enough' });
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
});

test('a failed path leads to an ICE restart with fresh ICE servers on the same peer connection', async () => {
  const [host, guest] = await pair();
  const [first, second] = [fakeOf(host), fakeOf(guest)];
  first.become('failed');
  expect(host.state).toBe('reconnecting');
  await eventually(() => expect(host.state).toBe('connected'));
  expect(first.restarts).toBe(1);
  expect(first.configurations).toHaveLength(2);
  expect([fakeOf(host), fakeOf(guest)]).toEqual([first, second]);
  await expectTalk(host, guest);
});

test('after a network change, signaling reconnects at once and ICE restarts', async () => {
  const platform = new EventTarget();
  vi.stubGlobal('addEventListener', platform.addEventListener.bind(platform));
  vi.stubGlobal('removeEventListener', platform.removeEventListener.bind(platform));
  onTestFinished(() => void vi.unstubAllGlobals());
  // Both sessions are in this process, so both get the event.
  const [host, guest] = await pair();
  const peers = [fakeOf(host), fakeOf(guest)];
  platform.dispatchEvent(new Event('online'));
  await eventually(() => expect(peers.map(({ restarts }) => restarts)).toEqual([1, 1]));
  expect([host.state, guest.state]).toEqual(['connected', 'connected']);
  expect([fakeOf(host), fakeOf(guest)]).toEqual(peers);
  await expectTalk(host, guest);
  host.close();
  guest.close();
  platform.dispatchEvent(new Event('online'));
  expect([host.state, guest.state]).toEqual(['closed', 'closed']);
});

test('a better path after a restart is reported, although the state is the same', async () => {
  const [host] = await pair();
  await eventually(() => expect(host.path).toBe('host'));
  const reported = new Promise((resolve) => host.on('path', resolve));
  fakeOf(host).candidateType = 'relay';
  fakeOf(host).sctp.transport.iceTransport.onselectedcandidatepairchange?.({});
  expect(await reported).toBe('relay');
  expect(host.state).toBe('connected');
});

test('a path that recovers by itself: reconnecting, then connected, without a restart', async () => {
  const [host] = await pair();
  const states: SessionState[] = [];
  host.on('state', (state) => states.push(state));
  fakeOf(host).become('disconnected');
  fakeOf(host).become('connected');
  expect(states).toEqual(['reconnecting', 'connected']);
  expect(fakeOf(host).restarts).toBe(0);
});

test('if both restart at once, the polite side yields, and both connect', async () => {
  const [host, guest] = await pair();
  for (const session of [host, guest]) fakeOf(session).restartIce();
  await eventually(() => {
    for (const session of [host, guest]) {
      expect(fakeOf(session).signalingState).toBe('stable');
      expect(fakeOf(session).remoteDescription?.sdp).not.toMatch(/^o=\S+ \S+ 1 /m);
    }
  });
  await expectTalk(host, guest);
});

test.each(['host', 'guest'] as const)(
  'if the %s has a new connection, the other side creates a new one too',
  async (which) => {
    const [host, guest] = await pair();
    const [old, other] = which === 'host' ? [host, guest] : [guest, host];
    const before = other.peer;
    const errors: string[] = [];
    old.on('error', ({ code }) => errors.push(code));
    const again = await device().resume(JSON.parse(JSON.stringify(old.save())));
    onTestFinished(() => again.close());
    await eventually(() => expect(other.state).toBe('connected'));
    expect(other.peer).not.toBe(before);
    expect([old.state, errors]).toEqual(['closed', ['replaced']]);
    await expectTalk(again, other);
  },
);

test('a peer that leaves is reported; when it returns, both connect', async () => {
  const [host, guest] = await pair();
  const left = new Promise<void>((resolve) => host.on('peer-left', resolve));
  const saved = guest.save();
  guest.close();
  await left;
  expect([host.state, host.peer, host.path]).toEqual(['connecting', undefined, undefined]);
  expect(() => host.send('hi')).toThrow(expect.objectContaining({ code: 'not_connected' }));
  const again = await device().resume(saved);
  onTestFinished(() => again.close());
  await eventually(() => expect(host.state).toBe('connected'));
  await expectTalk(host, again);
});

test('a closed session leaves nothing running, and stays closed', async () => {
  const [host] = await pair();
  const peer = fakeOf(host);
  const states: SessionState[] = [];
  host.on('state', (state) => states.push(state));
  host.close();
  host.close();
  peer.become('failed');
  expect(states).toEqual(['closed']);
  expect(peer.signalingState).toBe('closed');
  expect([peer.onconnectionstatechange, peer.onicecandidate]).toEqual([null, null]);
  await expect(host.connected()).rejects.toMatchObject({ code: 'closed' });
});

test('a refused description is an error; a refused candidate is not', async () => {
  const [host, guest] = await pair();
  const error = new Promise<CoupletError>((resolve) => guest.on('error', resolve));
  fakeOf(host).onicecandidate?.({ candidate: { toJSON: () => ({ candidate: 'broken' }) } });
  await expectTalk(host, guest);
  fakeOf(guest).refusing = true;
  fakeOf(host).restartIce();
  expect(await error).toMatchObject({ code: 'negotiation_failed' });
});

test('canceling an invite, and aborting before the peer joins, reject with aborted', async () => {
  const invite = await device().invite({ expiresInSeconds: 60 });
  expect(invite.code).toMatch(/^[0-9]{6}$/);
  expect(invite.expiresAt.getTime()).toBeGreaterThan(Date.now());
  invite.cancel();
  await expect(invite.accepted).rejects.toMatchObject({ code: 'aborted' });
  const abort = new AbortController();
  const saved = { version: 1, roomId: randomUUID(), deviceId: 'alone' } as const;
  const alone = device().resume(saved, { signal: abort.signal });
  abort.abort();
  await expect(alone).rejects.toMatchObject({ code: 'aborted' });
  const late = device().resume(saved, { signal: abort.signal });
  await expect(late).rejects.toMatchObject({ code: 'aborted' });
});

test('a code in use is skipped; without a free code, the invite rejects', async () => {
  let tried = 0;
  const taken = async () => {
    tried += 1;
    return new Response(JSON.stringify({ error: 'conflict' }), { status: 409 });
  };
  await expect(device({ fetch: taken }).invite()).rejects.toMatchObject({ code: 'conflict' });
  expect(tried).toBe(10);
});

test('a platform without WebRTC is unsupported', async () => {
  const invite = await device().invite();
  const { deviceId: _, ...bare } = { deviceId: '', url: server.url, WebSocket };
  await expect(new Couplet(bare).accept(invite.code)).rejects.toMatchObject({
    code: 'unsupported',
  });
  invite.cancel();
});

test('a wrong code rejects, and purge deletes this device', async () => {
  await expect(device().accept('000000')).rejects.toMatchObject({ code: 'not_found_or_expired' });
  const couplet = device({ deviceId: 'chosen' });
  const invite = await couplet.invite();
  expect(await couplet.purge()).toMatchObject({ pendingsDeleted: 1 });
  await expect(invite.accepted).rejects.toMatchObject({ code: 'not_found_or_expired' });
});
