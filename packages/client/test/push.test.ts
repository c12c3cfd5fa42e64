// Tests the entry `push`: what a server can wake, the push target of a device, Web Push subscriptions, and waking the peer.
import { startServer } from '@couplet/testkit/server';
import { afterAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { notifyPeer, pushSupport, setPushTarget, subscribePush } from '../src/push.js';
import { devicesOf, pairSessions } from './support/fake-device.js';

/** A valid VAPID key: an uncompressed point, whose coordinates nobody checks here. */
const KEY = Buffer.alloc(65, 4);
const pushes: { token: string; roomId: string }[] = [];
let outcome: 'sent' | 'failed' = 'sent';
const server = await startServer(
  { PUSH_GRACE_SECONDS: '60' },
  {
    notifier: {
      platforms: new Set(['web', 'android']),
      vapidPublicKey: KEY.toString('base64url'),
      async notify({ token }, roomId) {
        pushes.push({ token, roomId });
        return { kind: outcome };
      },
      close: async () => {},
    },
  },
);
afterAll(() => server.close());
beforeEach(() => {
  pushes.length = 0;
  outcome = 'sent';
});

const device = devicesOf(server);

/** Two paired devices; the second has left. */
async function alone(verify = false) {
  const [host, guest] = await pairSessions(device(), device(), verify);
  const saved = guest.save();
  const left = new Promise<void>((resolve) => host.on('peer-left', resolve));
  guest.close();
  await left;
  return { host, saved };
}

test('a server states what it can wake; an older one can wake nothing', async () => {
  expect(await pushSupport(device())).toEqual({
    platforms: ['web', 'android'],
    vapidPublicKey: KEY.toString('base64url'),
  });
  const older = async () => new Response('{"error":"not_found"}', { status: 404 });
  expect(await pushSupport(device({ fetch: older }))).toEqual({ platforms: [] });
  const signal = AbortSignal.abort();
  await expect(pushSupport(device(), { signal })).rejects.toMatchObject({ code: 'aborted' });
});

test.each([false, true])('a device wakes its peer (verified: %s)', async (verify) => {
  const { host, saved } = await alone(verify);
  const { roomId } = saved;
  await expect(notifyPeer(host)).rejects.toMatchObject({ code: 'no_push_target' });
  await setPushTarget(device(), saved, { platform: 'android', token: 'a' });
  const notified = new Promise((resolve) => host.on('server-message', resolve));
  await notifyPeer(host);
  expect(await notified).toEqual({ type: 'peer_notified', roomId });
  expect(pushes).toEqual([{ token: 'a', roomId }]);
  await expect(notifyPeer(host)).rejects.toMatchObject({ code: 'push_too_soon' });
  await setPushTarget(device(), saved, null);
  await expect(notifyPeer(host)).rejects.toMatchObject({ code: 'no_push_target' });
  const again = device({ deviceId: saved.deviceId }).resume(saved);
  const session = await again;
  await expect(notifyPeer(host)).rejects.toMatchObject({ code: 'peer_present' });
  session.close();
  host.close();
  await expect(notifyPeer(host)).rejects.toMatchObject({ code: 'network' });
});

test('a push service that fails, an aborted call, another network, and a session that is closed are reported', async () => {
  const platform = new EventTarget();
  vi.stubGlobal('addEventListener', platform.addEventListener.bind(platform));
  onTestFinished(() => void vi.unstubAllGlobals());
  const { host, saved } = await alone();
  await setPushTarget(device(), saved, { platform: 'android', token: 'a' });
  outcome = 'failed';
  await expect(notifyPeer(host)).rejects.toMatchObject({ code: 'push_failed' });
  const signal = AbortSignal.abort();
  await expect(notifyPeer(host, { signal })).rejects.toMatchObject({ code: 'aborted' });
  const lost = notifyPeer(host);
  const again = new Promise<void>((resolve) => {
    host.on('signaling', (state) => state === 'joined' && resolve());
  });
  platform.dispatchEvent(new Event('online'));
  await expect(lost).rejects.toMatchObject({ code: 'network' });
  await again;
  const asked = notifyPeer(host);
  host.close();
  await expect(asked).rejects.toMatchObject({ code: 'closed' });
});

test('a device that the server no longer has in the room cannot wake its peer', async () => {
  class Forgotten extends WebSocket {
    override send(text: string) {
      if (!text.includes('ping_peer')) return super.send(text);
      const data = JSON.stringify({ type: 'error', code: 'not_in_room', error: 'not in a room' });
      this.onmessage?.({ data } as never);
    }
  }
  const [host] = await pairSessions(device({ WebSocket: Forgotten }), device());
  await expect(notifyPeer(host)).rejects.toMatchObject({ code: 'network' });
});

test('a browser subscribes with the key of the server, and replaces a subscription with another key', async () => {
  const { host, saved } = await alone();
  const keys = { p256dh: Buffer.alloc(65, 4).toString('base64url'), auth: 'A'.repeat(22) };
  const calls: unknown[] = [];
  let old: { key: Buffer } | undefined;
  const registration = {
    pushManager: {
      getSubscription: async () =>
        old && {
          options: { applicationServerKey: new Uint8Array(old.key).buffer },
          unsubscribe: async () => void calls.push('unsubscribed'),
        },
      async subscribe(options: { userVisibleOnly: boolean; applicationServerKey: Uint8Array }) {
        calls.push({ ...options, applicationServerKey: Buffer.from(options.applicationServerKey) });
        return { endpoint: 'https://push.example/1', expirationTime: null, keys };
      },
    },
  } as unknown as ServiceWorkerRegistration;
  const options = { userVisibleOnly: true, applicationServerKey: KEY };
  await subscribePush(device(), saved, registration);
  old = { key: KEY };
  await subscribePush(device(), saved, registration);
  old = { key: Buffer.alloc(65, 5) };
  await subscribePush(device(), saved, registration);
  expect(calls).toEqual([options, options, 'unsubscribed', options]);
  await notifyPeer(host);
  expect(pushes.map(({ token }) => JSON.parse(token))).toEqual([
    { endpoint: 'https://push.example/1', keys },
  ]);
  const cause = new DOMException('denied', 'NotAllowedError');
  const refused = { pushManager: { getSubscription: () => Promise.reject(cause) } };
  const refusal = subscribePush(device(), saved, refused as never);
  await expect(refusal).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('the user refused it: NotAllowedError: denied'),
    cause,
  });
});
