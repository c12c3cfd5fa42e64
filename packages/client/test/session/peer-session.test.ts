// Tests sessions through a real server, on fake peer connections: reconnects, key exchange and errors.
import { randomUUID } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { eventually } from '@couplet/testkit/eventually';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import {
  type CoupletError,
  exchangeKeys,
  type PeerSession,
  type SessionState,
} from '../../src/index.js';
import { devicesOf, fakeOf, pairSessions } from '../support/fake-device.js';
import { bufferOf, type FakePeerConnection } from '../support/fake-peer-connection.js';

const server = await startServer({ STUN_URLS: 'stun:stun.example:3478' });
afterAll(() => server.close());

const device = devicesOf(server);

const pair = () => pairSessions(device(), device());

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
    const servers = await device().iceServers(session.save());
    expect(servers).toEqual([{ urls: ['stun:stun.example:3478'] }]);
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

test.each(['offer', 'answer'])(
  'after an exchange of keys, an %s with another certificate ends the session before it is applied',
  async (what) => {
    const { sessions, reported } = await verifiedPair();
    const [host, guest] = sessions;
    const verified = fakeOf(guest);
    const { remoteDescription } = verified;
    fakeOf(host).fingerprint = 'sha-256 EE';
    (what === 'offer' ? host : guest).restartIce();
    await expectAlarm(guest, verified, reported[1] as unknown[]);
    expect(verified.remoteDescription).toBe(remoteDescription);
  },
);

test('after an exchange of keys, a description that the platform parses with another certificate ends the session', async () => {
  const { sessions, reported } = await verifiedPair();
  const verified = fakeOf(sessions[1]);
  const apply = verified.setRemoteDescription.bind(verified);
  verified.setRemoteDescription = ({ type, sdp }) =>
    apply({ type, sdp: `${sdp}a=fingerprint:sha-256 EE\r\n` });
  sessions[0].restartIce();
  await expectAlarm(sessions[1], verified, reported[1] as unknown[]);
});

test('after an exchange of keys, a peer that leaves and returns no longer counts as verified; a new session can be verified', async () => {
  const { sessions, reported } = await verifiedPair();
  const [host, guest] = sessions;
  const saved = [host.save(), guest.save()] as const;
  guest.close();
  await eventually(() => expect(host.state).toBe('connecting'));
  expect(() => host.send('x')).toThrow(expect.objectContaining({ code: 'not_connected' }));
  const returning = device().resume(saved[1]);
  await eventually(() => expect(host.state).toBe('closed'));
  expect(reported[0]).toContain('peer_changed');
  expect(reported[0]).not.toContain('connected');
  const again = await Promise.all([device().resume(saved[0]), returning]);
  onTestFinished(() => {
    for (const session of again) session.close();
  });
  await expectTalk(...again);
  const [one, other] = await Promise.all(again.map((session) => exchangeKeys(session)));
  expect(one?.sas).toBe(other?.sas);
});

test.each(['leaves', 'has a new connection'])(
  'if the peer %s, messages that wait in the channel are reported as not_delivered',
  async (what) => {
    const [host, guest] = await pair();
    fakeOf(host).channel.bufferedAmount = 5;
    const error = new Promise((resolve) => host.once('error', resolve));
    const saved = guest.save();
    if (what === 'leaves') guest.close();
    else {
      // As after a reload of its page, which does not leave the room.
      const again = await device().resume(saved);
      onTestFinished(() => again.close());
    }
    expect(await error).toMatchObject({ code: 'not_delivered' });
    expect(host.state).not.toBe('closed');
  },
);

test('a peer whose descriptions have changing session ids keeps its connection', async () => {
  const [host, guest] = await pair();
  const peers = [fakeOf(host), fakeOf(guest)];
  for (const peer of peers) peer.unsteady = true;
  host.restartIce();
  await eventually(() => expect(peers[0]?.restarts).toBe(1));
  await expectTalk(host, guest);
  await eventually(() =>
    expect(peers.map(({ signalingState }) => signalingState)).toEqual(['stable', 'stable']),
  );
  expect([fakeOf(host), fakeOf(guest)]).toEqual(peers);
});

test('sendJson sends the text of the value; a value without JSON is refused', async () => {
  const [host, guest] = await pair();
  const heard = new Promise((resolve) => guest.once('message', resolve));
  host.sendJson({ a: [1, null] });
  expect(await heard).toBe('{"a":[1,null]}');
  const circular: unknown[] = [];
  circular.push(circular);
  for (const value of [undefined, () => {}, circular]) {
    const refused = expect.objectContaining({ code: 'invalid_argument' });
    expect(() => host.sendJson(value)).toThrow(refused);
  }
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

test('a candidate may correct the path of a connection, and does not restart a lost one', async () => {
  const [host, guest] = await pair();
  const pass = async (from: PeerSession, to: PeerSession) => {
    const { candidates } = fakeOf(to);
    const before = candidates.length;
    fakeOf(from).onicecandidate?.({ candidate: null });
    await eventually(() => expect(candidates.length).toBeGreaterThan(before));
  };
  await eventually(() => expect(host.path).toBe('host'));
  // As Chromium does when it learns the type of a peer that it has heard already: without an event.
  fakeOf(host).candidateType = 'prflx';
  await pass(guest, host);
  await eventually(() => expect(host.path).toBe('srflx'));
  expect(host.state).toBe('connected');
  // As during a restart. Another one would begin with a join, which the server handles before the next two candidates.
  fakeOf(host).connectionState = 'failed';
  await pass(guest, host);
  await pass(host, guest);
  await pass(guest, host);
  expect(fakeOf(host).restarts).toBe(0);
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

test('a second session of the same device ends the first with replaced', async () => {
  const [host, guest] = await pair();
  const first = fakeOf(host);
  const reported: string[] = [];
  host.on('error', ({ code }) => reported.push(code));
  host.on('state', (state) => reported.push(state));
  const again = await device().resume(host.save());
  onTestFinished(() => again.close());
  await eventually(() => expect(reported).toEqual(['replaced', 'closed']));
  expect(first.signalingState).toBe('closed');
  await expectTalk(again, guest);
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

test('a code in use is skipped; without a free code, the invite rejects', async () => {
  let tried = 0;
  const taken = async () => {
    tried += 1;
    return new Response(JSON.stringify({ error: 'conflict' }), { status: 409 });
  };
  await expect(device({ fetch: taken }).invite()).rejects.toMatchObject({ code: 'conflict' });
  expect(tried).toBe(10);
});
