// Shows the notifications of /demo, and opens the page of the room when the user selects one.

/** The parts of a service worker that this file uses. The types of TypeScript for workers exclude those for pages. */
interface Worker {
  readonly registration: ServiceWorkerRegistration;
  readonly clients: {
    matchAll(options: { type: 'window'; includeUncontrolled: true }): Promise<WindowClient[]>;
    openWindow(url: string): Promise<unknown>;
  };
  addEventListener(type: 'push', listener: (event: PushEvent) => void): void;
  addEventListener(type: 'notificationclick', listener: (event: ClickEvent) => void): void;
}
interface WindowClient {
  focus(): Promise<unknown>;
  postMessage(message: unknown, transfer: Transferable[]): void;
}
interface PushEvent {
  readonly data: { json(): { roomId: string; body: string } };
  waitUntil(task: Promise<unknown>): void;
}
interface ClickEvent {
  readonly notification: Notification;
  waitUntil(task: Promise<unknown>): void;
}

/** Time for a tab to answer. A frozen tab does not. */
const ANSWER_WITHIN_MS = 500;

const worker = self as unknown as Worker;

worker.addEventListener('push', (event) => {
  const { roomId, body } = event.data.json();
  // A later notification for the same room replaces the earlier one.
  const shown = worker.registration.showNotification('Couplet', {
    body,
    tag: roomId,
    data: roomId,
  });
  event.waitUntil(shown);
});

worker.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(open(String(event.notification.data)));
});

/** Shows the tab of the room, or opens the room in a new one. */
async function open(roomId: string): Promise<void> {
  const tabs = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const owners = await Promise.all(tabs.map((tab) => ownerOf(roomId, tab)));
  const tab = owners.find((owner) => owner !== undefined);
  const url = new URL(`#notified=${encodeURIComponent(roomId)}`, worker.registration.scope);
  await (tab ? tab.focus() : worker.clients.openWindow(url.href));
}

/** Resolves to the tab if it has the room. */
function ownerOf(roomId: string, tab: WindowClient): Promise<WindowClient | undefined> {
  const { port1, port2 } = new MessageChannel();
  tab.postMessage(roomId, [port2]);
  return new Promise((resolve) => {
    port1.onmessage = () => resolve(tab);
    setTimeout(() => resolve(undefined), ANSWER_WITHIN_MS);
  });
}
