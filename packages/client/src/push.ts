// The entry @couplet/client/push: registers this device for push notifications, and notifies the peer's device.
import type { PushResponse, PushTarget } from '@couplet/protocol';
import { onAbort } from './abort.js';
import type { Cancellable, Couplet } from './couplet.js';
import { CoupletError } from './errors.js';
import type { PeerSession } from './session/peer-session.js';
import type { SavedSession } from './session/session-events.js';

/** Codes of the refusals of `ping_peer`. An error with any other code belongs to another message. */
const REFUSALS = [
  'peer_present',
  'no_push_target',
  'push_too_soon',
  'push_failed',
  'unavailable',
  'unknown_message_type',
] as const;

/**
 * Resolves to the platforms whose devices the server can wake, and to its key for Web Push. Call this before you offer
 * notifications to the user. With a server of an older version, there are no platforms.
 */
export async function pushSupport(
  { pairing }: Couplet,
  { signal }: Cancellable = {},
): Promise<PushResponse> {
  try {
    return await pairing.request('/api/push', undefined, { signal, method: 'GET' });
  } catch (error) {
    const { code } = error as CoupletError;
    if (code !== 'not_found' && code !== 'rooms_api_disabled') throw error;
    return { platforms: [] };
  }
}

/**
 * Registers the push token of this device for one pairing, for example `{ platform: 'android', token }`; null deletes the
 * token. Call this at each start of the application, because push services replace tokens. In a browser, call
 * {@link subscribePush} instead.
 *
 * @throws CoupletError `forbidden` if the server has no such pairing.
 */
export async function setPushTarget(
  { pairing }: Couplet,
  { roomId, deviceId, secret }: SavedSession,
  target: PushTarget | null,
  { signal }: Cancellable = {},
): Promise<void> {
  const body = { roomid: roomId, client: deviceId, secret, ...target };
  await pairing.request('/api/push-token', body, { signal });
}

/**
 * Subscribes this browser to Web Push with the key of the server, and registers the subscription for one pairing. Without
 * permission, the browser asks the user for it, so make the first call in a click listener. Call this again at each start
 * of the application, because subscriptions change. Your service worker must show the notification.
 *
 * @throws CoupletError `unsupported` if the server or the browser does not support Web Push, or the user refuses permission.
 */
export async function subscribePush(
  couplet: Couplet,
  saved: SavedSession,
  worker: Pick<ServiceWorkerRegistration, 'pushManager'>,
  options: Cancellable = {},
): Promise<void> {
  const { vapidPublicKey } = await pushSupport(couplet, options);
  if (!vapidPublicKey) {
    throw new CoupletError('unsupported', 'The server has no key for Web Push.');
  }
  let token: string;
  try {
    const key = Uint8Array.from(
      atob(vapidPublicKey.replace(/-/g, '+').replace(/_/g, '/')),
      (char) => char.codePointAt(0) as number,
    );
    const { pushManager } = worker;
    const old = await pushManager.getSubscription();
    const oldKey = new Uint8Array(old?.options.applicationServerKey ?? []);
    // A browser has one subscription, and refuses another key until it is unsubscribed.
    if (old && String(oldKey) !== String(key)) await old.unsubscribe();
    const subscription = await pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: key,
    });
    token = JSON.stringify(subscription);
  } catch (cause) {
    const message = `Web Push is not available, or the user refused it: ${cause}`;
    throw new CoupletError('unsupported', message, cause);
  }
  await setPushTarget(couplet, saved, { platform: 'web', token }, options);
}

/**
 * Wakes the peer's device by a push notification. Not needed after a join: the server does this if this device stays alone.
 * Resolves once the push service has accepted the notification. The device may still not receive it.
 *
 * @throws CoupletError `peer_present`, `no_push_target`, `push_too_soon` or `push_failed`, as described in docs/protocol.md
 * §8; `network` if the server cannot be reached; `unknown_message_type` from a server of an older version.
 */
export async function notifyPeer(
  session: PeerSession,
  { signal }: Cancellable = {},
): Promise<void> {
  const stops: (() => void)[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const lost = () => reject(new CoupletError('network', 'Not connected to the server.'));
      stops.push(
        session.on('server-message', (message) => {
          if (message.type === 'peer_notified') return resolve();
          if (message.code === 'not_in_room') return lost();
          const code = REFUSALS.find((name) => name === message.code);
          if (code) reject(new CoupletError(code, message.error));
        }),
        // `joining` without `down`: the network changed, and the connection was replaced.
        session.on('signaling', (state) => (state === 'down' || state === 'joining') && lost()),
        session.on('state', (state) => state === 'closed' && reject(new CoupletError('closed'))),
        onAbort(signal, reject),
      );
      if (!session.signal({ type: 'ping_peer' })) lost();
    });
  } finally {
    for (const stop of stops) stop();
  }
}
