// The lifetime of codes to the millisecond (docs/protocol.md §3). The test sets the time, in the year 2100.

import { createPending, roomsApi, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { createPairing } from '../../src/pairing/pairing.js';
import type { PairingStore } from '../../src/pairing/store.js';
import { Waiting } from '../../src/pairing/waiting.js';

test('a code accepted in its last millisecond is collectable for ten minutes, then it is gone and its room stays', async () => {
  const clock = new FakeClock(Date.UTC(2100, 0, 1, 12, 0, 0, 345));
  const { url } = await serverForTest({}, { clock });
  const api = roomsApi(url);
  const accept = async ({ joinid }: { joinid: string }) =>
    (await api.accept({ joinid, client2: someDevice() })).body?.roomid;
  const collected = await createPending(url, { expiresInSeconds: 1 });
  const late = await createPending(url, { expiresInSeconds: 1 });
  clock.advance(999);
  const [roomid, kept] = [await accept(collected), await accept(late)];
  clock.advance(599_999);
  expect((await api.check(collected)).body).toStrictEqual({ roomid });
  clock.advance(1);
  expect((await api.check(late)).status).toBe(404);
  expect((await api.room(kept)).status).toBe(200);
  await createPending(url, late);
});

/** A store with one waiting pending, whose answers to checks arrive when the test releases them. */
function slowStore() {
  let change: (joinCode: string) => void = () => {};
  const answers: (() => void)[] = [];
  let accepted = false;
  const store = {
    onChange: (listener: (joinCode: string) => void) => {
      change = listener;
    },
    check: () => {
      // The outcome of a check is decided when it reaches the store, however late its answer arrives.
      const outcome = accepted
        ? { kind: 'collected', roomId: 'room' }
        : { kind: 'waiting', expiresAt: Number.MAX_SAFE_INTEGER };
      return new Promise((resolve) => answers.push(() => resolve(outcome)));
    },
  };
  return {
    store: store as unknown as PairingStore,
    answers,
    accept: () => {
      accepted = true;
      change('123456');
    },
  };
}

test('a change of a row of any name does not throw', () => {
  for (const name of ['error', '__proto__']) new Waiting(new FakeClock(), 10).wake(name);
});

test('an accept during a check in the store is not missed', async () => {
  const clock = new FakeClock();
  const { store, answers, accept } = slowStore();
  const pairing = createPairing(store, new Waiting(clock, 10), clock, false);
  const outcome = pairing.check('123456', 'a', 30, new AbortController().signal, (read) => read());
  accept();
  answers[0]?.();
  await expect.poll(() => answers.length).toBe(2);
  answers[1]?.();
  expect(await outcome).toEqual({ kind: 'collected', roomId: 'room' });
  expect(clock.pending).toBe(0);
});
