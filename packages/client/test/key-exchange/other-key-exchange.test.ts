// Tests an application's own key exchange before the peer connection, as in the iOS client. docs/key-exchange.md §7.

import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import type { KeyMessage, PeerSession } from '../../src/index.js';
import { devicesOf } from '../support/fake-device.js';

const server = await startServer();
afterAll(() => server.close());

const device = devicesOf(server);

/** Sends a key as soon as the peer joins, confirms the peer's key, and records the messages. */
function speaking(publicKey: string) {
  const heard: [KeyMessage, string][] = [];
  const onSession = (session: PeerSession) => {
    onTestFinished(() => session.close());
    session.on('signaling', (state) => {
      if (state === 'ready') session.signal({ type: 'key_exchange', publicKey, timestamp: 7 });
    });
    session.on('key-message', (message) => {
      heard.push([message, session.state]);
      if (message.type === 'key_exchange') session.signal({ type: 'key_exchange_complete' });
    });
  };
  return { onSession, heard };
}

test('both have the other key unchanged before the session is connected', async () => {
  const [one, other] = [speaking('raw key of one'), speaking('raw key of the other')];
  const invite = await device().invite({ onSession: one.onSession });
  await device().accept(invite.code, { onSession: other.onSession });
  await invite.accepted;
  for (const [{ heard }, publicKey] of [
    [one, 'raw key of the other'],
    [other, 'raw key of one'],
  ] as const) {
    expect(heard[0]).toMatchObject([
      { type: 'key_exchange', publicKey, timestamp: 7 },
      'connecting',
    ]);
    await expect
      .poll(() => heard.map(([{ type }]) => type))
      .toEqual(['key_exchange', 'key_exchange_complete']);
  }
});
