// POST /api/rooms/accept, /check without Prefer, and /cancel: docs/protocol.md §3.

import { createPending, pairDevices, roomsApi, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { rowsOf } from '@couplet/testkit/stories';
import { play } from '@couplet/testkit/wire-stories';
import { expect, test } from 'vitest';

const site = await serverUnderTest();
const { url } = site;
const api = roomsApi(url);

const stories = (table: string) =>
  test.each(rowsOf(table))('%s', async (_title, script) => void (await play(script, [site])));

stories(`
  an unknown code cannot be accepted: b accepts r = 404 not_found_or_expired
  an accepted code is a conflict for every device, and keeps its first client2: a invites by r;
      b accepts r = 200; b accepts r = 409 conflict; c accepts r = 409 conflict;
      r is found = 200 a b
  a device cannot accept its own code, which stays waiting: a invites by r;
      a accepts r = 400 invalid_client2; b accepts r = 200
  an unknown code cannot be checked: a checks r = 404 not_found_or_expired
  a check of an accepted code returns the room id once, and the code is then gone: a invites by r;
      b accepts r; a checks r = 200; a checks r = 404 not_found_or_expired; r is found = 200 a b
  another device’s code is 404, waiting or accepted, and is not consumed: a invites by r;
      c checks r = 404; b accepts r = 200; b checks r = 404; a checks r = 200
  a cancelled code cannot be accepted, and a second cancel succeeds: a invites by r;
      a cancels r = 200; a cancels r = 200; b accepts r = 404 not_found_or_expired;
      a checks r = 404
  a cancel of an unknown code, and of the code of another device, gets the same answer:
      a invites by r; a cancels s = 200; c cancels r = 200; a checks r = 204; b accepts r = 200
`);

test('an accept is answered with the room id: 48 lowercase hex characters', async () => {
  const { joinid } = await createPending(url);
  const answer = await api.accept({ joinid, client2: someDevice() });
  expect(answer.status).toBe(200);
  expect(answer.body).toStrictEqual({
    roomid: expect.stringMatching(/^[0-9a-f]{48}$/),
    secret: expect.stringMatching(/^[\w-]{43}$/),
  });
});

test('every pairing gets a new room id, even of the same two devices', async () => {
  const client1 = someDevice();
  const client2 = someDevice();
  const ids = new Set<string>();
  for (let n = 0; n < 10; n++) ids.add((await pairDevices(url, client1, client2)).roomid);
  expect(ids.size).toBe(10);
  // The iOS client builds its id from the first 32 characters alone.
  expect(new Set([...ids].map((id) => id.slice(0, 32))).size).toBe(10);
});

test('every check of a waiting code is 204 without a body', async () => {
  const { joinid, client1 } = await createPending(url);
  for (let n = 0; n < 3; n++) {
    const answer = await api.check({ joinid, client1 });
    expect(answer.status).toBe(204);
    expect(answer.body).toBeUndefined();
    expect(answer.headers.get('content-type')).toBeNull();
    expect(answer.headers.get('preference-applied')).toBeNull();
  }
});

test('a device id is compared byte for byte', async () => {
  const { joinid, client1 } = await createPending(url);
  expect((await api.check({ joinid, client1: client1.toLowerCase() })).status).toBe(404);
  expect((await api.check({ joinid, client1 })).status).toBe(204);
});

test('a held check of a cancelled code is answered 404 at once', async () => {
  const { joinid, client1 } = await createPending(url);
  const held = api.check({ joinid, client1 }, { prefer: 'wait=30' });
  await api.cancel({ joinid, client1 });
  expect((await held).body).toStrictEqual({ error: 'not_found_or_expired' });
});
