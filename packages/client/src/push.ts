// The entry @couplet/client/push: wakes the peer's device by a push notification, and lets this device be woken.
import type { PushResponse, PushTarget } from '@couplet/protocol';
import { onAbort } from './abort.js';
import type { Cancellable, Couplet } from './couplet.js';
import { CoupletError, errorOf } from './errors.js';
import type { PeerSession } from './session/peer-session.js';
import type { SavedSession } from './session/session-events.js';

/** Codes with which the server refuses `ping_peer`. Any other error belongs to another message. */
const REFUSALS = [
  'peer_present',
  'no_push_target',
  'push_too_soon',
  'push_failed',
  'unavailable',
  'unknown_message_type',
] as const;

/**
 * Resolves to the platforms whose devices the server can wake, and to its key for Web Push. Ask it before offering
 * notifications to the user. A server of an older version has none.
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
 * Leaves the address of this device at a push service with the server, for one pairing; null deletes it. Renew it at each
 * start of the application, because push services change it. Browsers use {@link subscribePush} instead.
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
 * Subscribes this browser to Web Push with the key of the server, and leaves the subscription with the server for one
 * pairing. The browser asks the user for permission, if it has none; call it in a listener of a click then. Call it again at
 * each start of the application, because subscriptions change. The service worker has to show the notification.
 *
 * @throws CoupletError `unsupported` if the server or the browser cannot do it, or the user refuses.
 */
export async function subscribePush(
  couplet: Couplet,
  saved: SavedSession,
  { pushManager }: Pick<ServiceWorkerRegistration, 'pushManager'>,
  options: Cancellable = {},
): Promise<void> {
  const { vapidPublicKey } = await pushSupport(couplet, options);
  if (!vapidPublicKey) {
    throw new CoupletError('unsupported', { message: 'The server has no key for Web Push.' });
  }
  const key = Uint8Array.from(
    atob(vapidPublicKey.replace(/-/g, '+').replace(/_/g, '/')),
    (char) => char.codePointAt(0) as number,
  );
  let token: string;
  try {
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
    throw errorOf('unsupported', cause);
  }
  await setPushTarget(couplet, saved, { platform: 'web', token }, options);
}

/**
 * Wakes the peer's device by a push notification. Not needed after a join: the server does it if this device stays alone.
 * Resolves once the push service has accepted the notification, which does not mean that the device has got it.
 *
 * @throws CoupletError `peer_present`, `no_push_target`, `push_too_soon` or `push_failed`, as described in docs/protocol.md
 * §4; `network` if the server cannot be reached; `unknown_message_type` from a server of an older version.
 */
export async function notifyPeer(
  session: PeerSession,
  { signal }: Cancellable = {},
): Promise<void> {
  const stops: (() => void)[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const lost = () =>
        reject(new CoupletError('network', { message: 'Not connected to the server.' }));
      stops.push(
        session.on('server-message', (message) => {
          if (message.type === 'peer_notified') return resolve();
          const code = REFUSALS.find((name) => name === message.code);
          if (code) reject(new CoupletError(code, { message: message.error }));
        }),
        session.on('signaling', (state) => state === 'down' && lost()),
        session.on('state', (state) => state === 'closed' && reject(new CoupletError('closed'))),
        onAbort(signal, reject),
      );
      if (!session.signal({ type: 'ping_peer' })) lost();
    });
  } finally {
    for (const stop of stops) stop();
  }
}
