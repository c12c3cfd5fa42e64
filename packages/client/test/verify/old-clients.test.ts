// Clients that know nothing of verified pairings: with a device that asks for one, both get a clean end.
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { IosClient } from '../../../server/test/support/ios-client.js';
import type { PeerSession } from '../../src/index.js';
import { secretsFor } from '../../src/verify/code.js';
import { devicesOf } from '../support/fake-device.js';
import { record, type Seen } from '../support/verified-end.js';

/** A device whose application records its session. */
async function verifyingDevice() {
  const server = await serverForTest();
  const seen: Seen[] = [];
  const onSession = (session: PeerSession) => void seen.push(record(session));
  return { server, ios: new IosClient(server), device: devicesOf(server)(), onSession, seen };
}

/** Expects that the device refused the old client before it applied or received anything. */
function expectRefused([end]: Seen[]): void {
  const { session, ...seen } = end as Seen;
  expect([session.state, session.trust]).toEqual(['closed', 'none']);
  expect(seen).toMatchObject({ errors: ['unverified_peer'], applied: [], messages: [] });
}

test('the iOS client accepts the first six digits of a verified code', async () => {
  const { ios, device, onSession, seen } = await verifyingDevice();
  const { code, accepted } = await device.invite({ verify: true, onSession });
  const refused = expect(accepted).rejects.toMatchObject({ code: 'unverified_peer' });
  const his = await ios.accept(code.slice(0, 6));
  const { connection } = await ios.enter(his);
  await connection.next('room_ready');
  ios.exchangeKeys(connection);
  await refused;
  expectRefused(seen);
  // It was sent nothing, and sees that its peer has left. The pairing remains until the app purges it.
  expect((await connection.next()).type).toBe('peer_left');
  expect(await connection.syncByFrame()).toEqual([]);
  expect(await ios.contact(his)).toBe('there');
});

test('a device with a verified code is paired with the iOS client', async () => {
  const { ios, device, onSession, seen } = await verifyingDevice();
  const hers = await ios.create();
  const accepted = device.accept(secretsFor(hers.joinid).code, { onSession });
  const refused = expect(accepted).rejects.toMatchObject({ code: 'unverified_peer' });
  while ((await ios.check(hers)) === 'waiting');
  const { connection } = await ios.enter(hers);
  await connection.next('room_ready');
  ios.exchangeKeys(connection);
  await refused;
  expectRefused(seen);
  // The share, which contains no secret, is a message like the key of an unknown version.
  expect(await connection.next()).toMatchObject({ type: 'key_exchange' });
  expect((await connection.next()).type).toBe('peer_left');
  expect(await ios.contact(hers)).toBe('there');
});
