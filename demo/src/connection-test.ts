// Implements the connection test. It pairs this page with itself, as two devices, so no second device is needed.
import type { Couplet, PeerSession, SessionOptions } from '@couplet/client';
import { wordsFor } from './error-words.js';
import { type ProbeResult, probe, urlsOf } from './ice-probe.js';
import { type Finding, findings, probeWords, type Tone } from './ice-words.js';

export interface Step {
  name: string;
  tone: Tone;
  verdict: string;
  text: string;
  milliseconds?: number;
}

/** Time limit for signaling, and for the connection of the page to itself. */
const WITHIN_MS = 10_000;

/**
 * Runs the test. Calls `onStep` with each result, and resolves to the findings. At the end it deletes both devices from
 * the server.
 */
export async function testConnection(
  newDevice: () => Couplet,
  { signal, onStep }: { signal: AbortSignal; onStep: (step: Step) => void },
): Promise<Finding[]> {
  const devices = [newDevice(), newDevice()] as const;
  const sessions: PeerSession[] = [];
  const stopping = new AbortController();
  const ended = AbortSignal.any([signal, stopping.signal]);
  try {
    const session = await pairWithSelf(devices, {
      signal: ended,
      onStep,
      onSession: (made) => sessions.push(made),
    });
    if (session === undefined) {
      return [{ tone: 'bad', text: 'The server cannot be used. See the steps below.' }];
    }
    const results = await probeAll(devices[1], session, ended, onStep);
    return findings(results);
  } catch (error) {
    onStep({ name: 'ICE servers', tone: 'bad', verdict: 'unknown', text: wordsFor(error) });
    return [{ tone: 'bad', text: 'The test could not be completed. See the steps below.' }];
  } finally {
    stopping.abort();
    for (const session of sessions) session.close();
    const deviceIds = devices.map(({ deviceId }) => deviceId);
    // If the purge fails, the code expires by itself, or a pairing of two unused device ids remains.
    await devices[0].purge({ deviceIds }).catch(() => {});
  }
}

/** Runs the three steps before the ICE servers: pairing, signaling, and WebRTC in this browser. */
async function pairWithSelf(
  [host, guest]: readonly [Couplet, Couplet],
  {
    signal,
    onStep,
    onSession,
  }: Required<SessionOptions> & {
    onStep: (step: Step) => void;
  },
): Promise<PeerSession | undefined> {
  const startedAt = performance.now();
  let session: PeerSession;
  try {
    const { code } = await host.invite({ expiresInSeconds: 60, signal, onSession });
    // `accept` resolves only after the connection, which is a later step. So take the session from `onSession`.
    session = await new Promise((resolve, reject) => {
      const open = (made: PeerSession) => {
        onSession(made);
        resolve(made);
      };
      guest.accept(code, { signal, onSession: open }).catch(reject);
    });
  } catch (error) {
    onStep({ name: 'Pairing', tone: 'bad', verdict: 'does not work', text: wordsFor(error) });
    return undefined;
  }
  onStep({
    name: 'Pairing',
    tone: 'good',
    verdict: 'works',
    text: 'The server creates and accepts codes.',
    milliseconds: performance.now() - startedAt,
  });
  const isReady = await within(WITHIN_MS, (done) => {
    if (session.signaling === 'ready') done();
    return session.on('signaling', (state) => state === 'ready' && done());
  });
  onStep({
    name: 'Signaling',
    ...(isReady
      ? { tone: 'good', verdict: 'works', text: 'WebSocket messages arrive in both directions.' }
      : {
          tone: 'bad',
          verdict: 'does not work',
          text: 'WebSocket messages do not arrive. A proxy may not support WebSockets.',
        }),
  });
  if (!isReady) return undefined;
  const isConnected = await within(WITHIN_MS, (done) => {
    if (session.state === 'connected') done();
    return session.on('state', (state) => state === 'connected' && done());
  });
  onStep({
    name: 'WebRTC in this browser',
    ...(isConnected
      ? { tone: 'good', verdict: 'works', text: 'This page has connected to itself.' }
      : {
          tone: 'warning',
          verdict: 'no connection',
          text: 'This page could not connect to itself. A browser extension or setting may block it.',
        }),
  });
  return session;
}

async function probeAll(
  device: Couplet,
  session: PeerSession,
  signal: AbortSignal,
  onStep: (step: Step) => void,
): Promise<ProbeResult[]> {
  const servers = await device.iceServers(session.save(), { signal });
  const probed = urlsOf(servers).map(async (server) => {
    const result = await probe(server, signal);
    onStep({ name: server.url, milliseconds: result.milliseconds, ...probeWords(result) });
    return result;
  });
  return Promise.all(probed);
}

/** Whether `done` is called in time. `listen` returns a function that removes its listener. */
function within(milliseconds: number, listen: (done: () => void) => () => void): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isDone: boolean) => {
      clearTimeout(timer);
      queueMicrotask(() => stop());
      resolve(isDone);
    };
    const timer = setTimeout(() => settle(false), milliseconds);
    const stop = listen(() => settle(true));
  });
}
