// Polling of the iOS client, and the meaning of each status for it. A round stands for a minute.

import { call } from '@couplet/testkit/api';
import { startServer } from '@couplet/testkit/server';
import { afterAll, describe, expect, test } from 'vitest';
import { Unavailable } from '../../src/base/failures.js';
import { IosClient, pairApps, type Session } from '../support/ios-client.js';
import { brokenStore } from '../support/stores.js';

/** Polls of one code or contact within a minute of an open list: one every 6 s. */
const POLLS_A_MINUTE = 10;

const server = await startServer();
afterAll(() => server.close());
const alice = new IosClient(server);
const bob = new IosClient(server);

test('the probe of the settings screen is answered 2xx', async () => {
  expect(await alice.probe()).toBe(true);
});

test('minutes of polling for many sessions get the correct state of each code and contact', async () => {
  const waiting = await Promise.all(Array.from({ length: 6 }, () => alice.create()));
  const contacts = await Promise.all(Array.from({ length: 6 }, () => pairApps(alice, bob)));
  for (let poll = 0; poll < 3 * POLLS_A_MINUTE; poll++) {
    const codes = await Promise.all(waiting.map((session) => alice.check(session)));
    expect(new Set(codes)).toEqual(new Set(['waiting']));
    const states = await Promise.all(contacts.map(({ hers }) => alice.contact(hers)));
    expect(new Set(states)).toEqual(new Set(['there']));
  }
  await Promise.all(waiting.map(({ joinid }) => bob.accept(joinid)));
  expect(new Set(await Promise.all(waiting.map((session) => alice.check(session))))).toEqual(
    new Set(['paired']),
  );
});

test('a contact has both device ids in the spelling of their apps', async () => {
  const { hers, his } = await pairApps(alice, bob);
  expect(hers.deviceId).toBe(hers.deviceId.toUpperCase());
  expect((await bob.contactAnswer(his)).body).toEqual({
    roomid: hers.roomid,
    client1: hers.deviceId,
    client2: his.deviceId,
  });
  // The app makes a UUID from the first 32 characters.
  expect(hers.roomid?.slice(0, 32)).toMatch(/^[0-9a-f]{32}$/);
});

describe('only 404 is final', () => {
  test('a purge closes the contacts and ends the codes of its devices only', async () => {
    const kept = await pairApps(alice, bob);
    const gone = [await pairApps(alice, bob), await pairApps(alice, bob)];
    const pending = await alice.create();
    const purged = [...gone.map(({ hers }) => hers), pending];
    expect((await alice.purge(purged)).body).toEqual({
      success: true,
      deviceIdCount: 3,
      roomsDeleted: 2,
      pendingsDeleted: 1,
    });
    for (const { his } of gone) expect(await bob.contact(his)).toBe('closed');
    expect((await bob.contactAnswer(gone[0]?.his as Session)).body).toEqual({ error: 'not_found' });
    expect(await alice.check(pending)).toBe('expired');
    expect((await alice.checkAnswer(pending)).body).toEqual({ error: 'not_found_or_expired' });
    expect(await alice.contact(kept.hers)).toBe('there');
  });

  test('a contact remains while both devices are disconnected', async () => {
    const { hers, his } = await pairApps(alice, bob);
    const her = await alice.enter(hers);
    const him = await bob.enter(his);
    await Promise.all([her.connection.close(), him.connection.close()]);
    expect(await alice.contact(hers)).toBe('there');
    expect(await bob.contact(his)).toBe('there');
  });

  test('an unreachable store is answered 503, so that the app tries again', async () => {
    const { hers } = await pairApps(alice, bob);
    const broken = await startServer(
      {},
      { store: brokenStore(() => new Unavailable(new Error())) },
    );
    try {
      const client = new IosClient(broken);
      expect(await client.check(hers)).toBe('ask again');
      expect(await client.contact(hers)).toBe('ask again');
      for (const answer of [await client.checkAnswer(hers), await client.contactAnswer(hers)]) {
        expect(answer.status).toBe(503);
        expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
        expect(answer.body).toEqual({ error: 'unavailable' });
      }
    } finally {
      await broken.close();
    }
  });

  test('a malformed poll is answered 400 or 415, never 404', async () => {
    const { hers } = await pairApps(alice, bob);
    expect((await alice.checkAnswer(hers, {})).status).toBe(400);
    expect((await alice.checkAnswer(hers, '{')).status).toBe(400);
    expect((await alice.contactAnswer({ ...hers, roomid: '' })).status).toBe(400);
    const plain = { 'content-type': 'text/plain' };
    expect((await call(server.url, 'POST', '/api/rooms/check', '{}', plain)).status).toBe(415);
  });
});
