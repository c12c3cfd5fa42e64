// Controls "Notify me": a push notification when the other device waits in the room and this page is not connected.
import { CoupletError, type PeerSession, type SavedSession } from '@couplet/client';
import { pushSupport, subscribePush } from '@couplet/client/push';
import { couplet, forgetNotified, isNotified, setNotified } from './device.js';
import { announce, byId, showProblem } from './dom.js';

/** Shows the control if the server and the browser can do it. Aborting the signal hides it. */
export function startNotifications(session: PeerSession, signal: AbortSignal): void {
  const button = byId('notify', 'button');
  const isOn = () => isNotified(session.save().roomId);
  const show = () => {
    button.ariaPressed = String(isOn());
  };
  const change = async () => {
    button.disabled = true;
    try {
      await (isOn() ? forgetNotified(session.save()) : turnOn(session.save()));
      announce(isOn() ? 'Notifications are on.' : 'Notifications are off.');
    } catch (error) {
      showProblem(
        error instanceof CoupletError && error.code === 'unsupported'
          ? 'The browser did not allow notifications for this page.'
          : 'Notifications could not be changed. Check the connection, and try again.',
      );
    }
    button.disabled = false;
    show();
  };
  button.addEventListener('click', change, { signal });
  signal.addEventListener('abort', () => {
    button.hidden = true;
  });
  void canNotify().then((can) => {
    if (signal.aborted || !can) return;
    button.hidden = false;
    show();
    // Push services change subscriptions, and the server may have a new key.
    if (isOn()) turnOn(session.save()).catch(() => {});
  });
  answerWorker(session, signal);
}

async function turnOn(saved: SavedSession): Promise<void> {
  const registration = await navigator.serviceWorker.register('./service-worker.js');
  await subscribePush(couplet(), saved, registration);
  setNotified(saved);
}

async function canNotify(): Promise<boolean> {
  // Both exist only in secure contexts.
  if (!('serviceWorker' in navigator) || !('PushManager' in window)) return false;
  const { vapidPublicKey } = await pushSupport(couplet()).catch(() => ({
    vapidPublicKey: undefined,
  }));
  return vapidPublicKey !== undefined;
}

/** Tells the service worker that this tab has the room, so that it does not open another one. */
function answerWorker(session: PeerSession, signal: AbortSignal): void {
  navigator.serviceWorker?.addEventListener(
    'message',
    ({ data, ports }) => {
      if (data === session.save().roomId) ports[0]?.postMessage('here');
    },
    { signal },
  );
}
