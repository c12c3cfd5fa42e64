// Tests the detection of network changes on different platforms.
import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onNetworkChange } from '../../src/session/network-changes.js';

class Platform extends EventTarget {
  readonly connection = Object.assign(new EventTarget(), {
    type: undefined as string | undefined,
    rtt: 50,
  });
  readonly navigator = { connection: this.connection, onLine: true };
}

function watched({ type }: { type?: string } = {}) {
  const platform = new Platform();
  platform.connection.type = type;
  let changes = 0;
  const stop = onNetworkChange(() => {
    changes += 1;
  }, platform);
  /** The data of the Network Information API. */
  const estimate = (news: { type?: string; rtt?: number }) => {
    Object.assign(platform.connection, news);
    platform.connection.dispatchEvent(new Event('change'));
  };
  return { platform, estimate, stop, changes: () => changes };
}

test.each([undefined, 'wifi', 'cellular'])(
  'a new estimate on the same network (%s) is not a change',
  (type) => {
    const { estimate, changes } = watched(type === undefined ? {} : { type });
    for (const rtt of [100, 150, 200]) estimate({ rtt });
    expect(changes()).toBe(0);
  },
);

test('another kind of network is a change', () => {
  const { estimate, changes } = watched({ type: 'wifi' });
  estimate({ type: 'cellular' });
  expect(changes()).toBe(1);
  estimate({ rtt: 400 });
  expect(changes()).toBe(1);
  estimate({ type: 'wifi' });
  expect(changes()).toBe(2);
});

test('leaving a network and returning is one change, reported by online', () => {
  const { platform, estimate, changes } = watched({ type: 'wifi' });
  platform.navigator.onLine = false;
  platform.dispatchEvent(new Event('offline'));
  estimate({ type: 'none' });
  estimate({ type: 'cellular' });
  expect(changes()).toBe(0);
  platform.navigator.onLine = true;
  platform.dispatchEvent(new Event('online'));
  estimate({ rtt: 300 });
  expect(changes()).toBe(1);
});

test('stopping removes all listeners', () => {
  const { platform, stop } = watched({ type: 'wifi' });
  stop();
  expect(getEventListeners(platform, 'online')).toHaveLength(0);
  expect(getEventListeners(platform.connection, 'change')).toHaveLength(0);
});

test.each([
  ['nothing', {}],
  ['a navigator without a connection', { navigator: {} }],
  ['a connection without events', { navigator: { connection: { type: 'wifi' } } }],
])('a platform with %s tells of no changes', (_what, platform) => {
  onNetworkChange(() => {
    throw new Error('called');
  }, platform)();
});

test('on a platform without a Network Information API, online is a change', () => {
  const platform = new EventTarget();
  let changes = 0;
  const stop = onNetworkChange(() => {
    changes += 1;
  }, platform);
  platform.dispatchEvent(new Event('online'));
  stop();
  platform.dispatchEvent(new Event('online'));
  expect(changes).toBe(1);
});
