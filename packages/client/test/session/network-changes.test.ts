// Tests the detection of network changes on different platforms.
import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onNetworkChange } from '../../src/session/network-changes.js';

test.each<[string, string | undefined, string[], number]>([
  ['new estimates on an unknown network are no change', undefined, ['', '', ''], 0],
  ['new estimates on the same network are no change', 'wifi', ['wifi', 'wifi'], 0],
  ['another kind of network is a change', 'wifi', ['cellular', 'cellular', 'wifi'], 2],
  [
    'leaving a network and returning is one change, reported by online',
    'wifi',
    ['offline', 'none', 'cellular', 'online', 'cellular'],
    1,
  ],
])('%s; stopping removes all listeners', (_what, type, events, changes) => {
  const connection = Object.assign(new EventTarget(), { type });
  const navigator = { connection, onLine: true };
  const platform = Object.assign(new EventTarget(), { navigator });
  let seen = 0;
  const stop = onNetworkChange(() => void seen++, platform as never);
  for (const event of events) {
    if (event === 'online' || event === 'offline') {
      navigator.onLine = event === 'online';
      platform.dispatchEvent(new Event(event));
    } else {
      // The data of the Network Information API.
      connection.type = event || undefined;
      connection.dispatchEvent(new Event('change'));
    }
  }
  expect(seen).toBe(changes);
  stop();
  expect(getEventListeners(platform, 'online')).toHaveLength(0);
  expect(getEventListeners(connection, 'change')).toHaveLength(0);
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
  onNetworkChange(() => void changes++, platform);
  platform.dispatchEvent(new Event('online'));
  expect(changes).toBe(1);
});
