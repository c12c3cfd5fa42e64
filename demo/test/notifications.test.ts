// Tests "Notify me" and the service worker. Chromium subscribes only at a service in the internet, so the subscription is made up,
// and DevTools delivers the notification in place of that service.
import type { PushTarget } from '@couplet/protocol';
import { readMetric } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { startServer } from '@couplet/testkit/server';
import type { BrowserContext, Page, Worker } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import {
  accessibilityFaults,
  enterCode,
  inSession,
  makeInvite,
  startSite,
  useBrowser,
  type Visitor,
  visit,
} from './support/visitor.js';

const KEYS = { p256dh: Buffer.alloc(65, 4).toString('base64url'), auth: 'A'.repeat(22) };
const PUSH = { body: 'Your chat partner is waiting' };

/** A server that can wake browsers, and the notifications that it sent. */
async function site() {
  const pushes: { target: PushTarget; roomId: string }[] = [];
  const server = await startServer(
    { PUSH_GRACE_SECONDS: '0' },
    {
      notifier: {
        platforms: new Set(['web']),
        vapidPublicKey: KEYS.p256dh,
        async notify(target, roomId) {
          pushes.push({ target, roomId });
          return { kind: 'sent' };
        },
        close: async () => {},
      },
    },
  );
  onTestFinished(() => server.close());
  return { url: server.url, pushes };
}

const prepare = (page: Page) =>
  page.addInitScript((keys) => {
    PushManager.prototype.getSubscription = async () => null;
    PushManager.prototype.subscribe = async () =>
      ({ endpoint: 'https://push.example/1', keys }) as never;
  }, KEYS);

/** Two paired pages; the host has notifications on. */
async function notified(url: string) {
  const host = await visit(url, { prepare });
  const guest = await visit(url);
  await enterCode(guest, (await makeInvite(host)).code);
  await inSession(host, guest);
  await host.button('Notify me').click();
  await host.page.getByRole('button', { name: 'Notify me', pressed: true }).waitFor();
  return { host, guest, worker: await workerOf(host.page.context()) };
}

const workerOf = async (context: BrowserContext): Promise<Worker> =>
  context.serviceWorkers()[0] ?? context.waitForEvent('serviceworker');

/**
 * Delivers a notification as the push service of the browser would, and selects it. The test browser has no notifications, and
 * without a real click it shows no tab: what the worker asks for is recorded.
 */
async function deliver(page: Page, worker: Worker, origin: string, roomId: string) {
  await worker.evaluate(() => {
    const scope = self as unknown as WorkerScope;
    scope.asked = [];
    scope.registration.showNotification = async (...shown) => void scope.asked.push(shown);
    scope.clients.openWindow = async (url) => void scope.asked.push(url);
    scope.WindowClient.prototype.focus = async () => void scope.asked.push('focus');
  });
  const session = await page.context().newCDPSession(page);
  const known = new Promise<string>((resolve) =>
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      for (const { registrationId } of registrations) resolve(registrationId);
    }),
  );
  await session.send('ServiceWorker.enable');
  const registrationId = await known;
  const data = JSON.stringify({ type: 'presence', roomId, ...PUSH });
  await session.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data });
  await session.detach();
  const asked = () => worker.evaluate(() => (self as unknown as WorkerScope).asked);
  await expect.poll(asked).toHaveLength(1);
  await worker.evaluate(() => {
    const [[, { data }]] = (self as unknown as WorkerScope).asked as [[string, { data: unknown }]];
    const notification = { data, close() {} };
    const click = new Event('notificationclick');
    self.dispatchEvent(Object.assign(click, { notification, waitUntil() {} }));
  });
  await expect.poll(asked).toHaveLength(2);
  return asked();
}

/** Closes the page. Resolves once its device has left the room. */
async function closed({ page }: Visitor, url: string): Promise<void> {
  await page.close();
  await expect.poll(() => readMetric(url, 'couplet_connections')).toBe(1);
}

/** The globals of the service worker that the test replaces. */
interface WorkerScope {
  asked: unknown[];
  registration: { showNotification(...shown: unknown[]): Promise<void> };
  clients: { openWindow(url: string): Promise<void> };
  WindowClient: { prototype: { focus(): Promise<void> } };
}

describeWith(['chromium'], 'notifications of the demo page', () => {
  useBrowser();

  test('a device that has left its page is woken, and the notification leads back to the session', async () => {
    const { url, pushes } = await site();
    const { host, guest, worker } = await notified(url);
    expect(await accessibilityFaults(host)).toEqual([]);
    const context = host.page.context();
    await closed(host, url);
    await guest.page.reload();
    await guest.page.getByText('It was sent a notification').waitFor();
    const [{ target, roomId }] = pushes as [(typeof pushes)[0]];
    expect(target.platform).toBe('web');
    expect(JSON.parse(target.token)).toEqual({ endpoint: 'https://push.example/1', keys: KEYS });
    const other = await context.newPage();
    const notification = ['Couplet', { ...PUSH, tag: roomId, data: roomId }];
    const path = `${url}/demo/#notified=${roomId}`;
    expect(await deliver(other, worker, url, roomId)).toEqual([notification, path]);
    await prepare(other);
    await other.goto(path);
    await other.locator('#session-title').waitFor();
    expect(other.url()).toBe(`${url}/demo/`);
    // The tab has the session, so the next notification leads to it.
    expect(await deliver(other, worker, url, roomId)).toEqual([notification, 'focus']);
    expect([host.complaints, guest.complaints]).toEqual([[], []]);
  });

  test.each([
    ['turned off', 'Notify me', 1],
    ['left', 'Leave', 1],
    // The room is deleted, so perhaps nothing is tried.
    ['forgotten', 'Forget this device', 0],
  ])('a device that was %s is not woken', async (_, button, attempts) => {
    const { url, pushes } = await site();
    const { host, guest } = await notified(url);
    const changed = host.page.waitForResponse(/\/api\/(push-token|user\/purge)$/);
    await host.button(button).click();
    await changed;
    // The page and the test get the answer over different connections.
    await expect.poll(() => host.page.evaluate(() => localStorage.length)).toBe(0);
    await closed(host, url);
    await guest.page.reload();
    await guest.heading('Connecting').waitFor();
    const tried = () => readMetric(url, 'couplet_wakes_total{outcome="no_push_target"}');
    await expect.poll(tried).toBeGreaterThanOrEqual(attempts);
    expect(pushes).toEqual([]);
  });

  test('a server that cannot wake browsers gets no control', async () => {
    const { url } = await startSite();
    const support: Promise<unknown>[] = [];
    const host = await visit(url, {
      prepare: async (page) => {
        support.push(page.waitForResponse(`${url}/api/push`));
      },
    });
    const guest = await visit(url);
    await enterCode(guest, (await makeInvite(host)).code);
    await inSession(host, guest);
    await Promise.all(support);
    expect(await host.page.locator('#notify').isVisible()).toBe(false);
  });
});
