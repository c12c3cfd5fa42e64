// The contract of every PairingStore. Times are in the year 2100, so that no store expires rows by its own clock.
//
// Most of it is in tables of stories, with these steps. Devices are a, b, …; codes are 1, 2, ….
//
//     a creates 1                     outcome: `created EXPIRY SECRET`, or the kind of the outcome
//     b accepts 1 into room           `accepted ROOM SECRET`
//     a checks 1                      `waiting EXPIRY`, `collected ROOM`, `missing` (not found or expired)
//     a cancels 1
//     pair a b 1 room                 a creates the code, and b accepts it
//     a proves room                   a has sent its secret: `true` if the room has this device
//     proved room                     the devices that have done so
//     find room                       its devices, or `nothing`
//     delete room
//     purge a b                       deleted rooms and pendings, kept rooms and pendings: `1 2 0 0`
//     a sets ios in room              a push target (`TARGETS`), or `nothing`
//     a claims room                   claims the push target of a: `claimed ios`, `too_soon`, `no_target`
//     a forgets ios in room           the target is dead
//     time                            the time of the first request with this key: `first NOW`
//     sweep                           the number of deleted rooms
//     counts                          pendings and rooms
//
// Options follow: `until TIME` (expiry), `at TIME` (of the call, `NOW` by default), `as KEY` (Idempotency-Key), `giving SECRET`
// (the secret of a new pending or room), `with SECRET` (a proof), `requiring SECRET` (the same, and every device must prove
// itself), `push TARGET`. `a1` is the secret that a got with code 1.
//
// `step = outcome` compares the outcome by whole words, as far as it is written. Steps that are joined by `&` run concurrently;
// `= one KIND` then expects this kind of exactly one of them.
// `2: step` uses another store over the same data. `limits NAME=N` at the beginning sets limits of the stores.
import type { PushTarget } from '@couplet/protocol';
import { rowsOf, stepsOf } from '@couplet/testkit/stories';
import { describe, expect, onTestFinished, test } from 'vitest';
import { secretHash } from '../../src/base/device-secrets.js';
import { Unavailable } from '../../src/base/failures.js';
import type { PairingStore, StoreLimits } from '../../src/pairing/store.js';
import { LEGAL_IDS } from '../support/ids.js';
import { accept, create, purge, secretOf } from '../support/store-calls.js';

/** Another store over the data of the same test; the suite closes it. */
export type OpenStore = (limits?: Partial<StoreLimits>) => Promise<PairingStore>;

const NOW = Date.UTC(2100, 0, 1, 12, 0, 0, 500);
const LATER = NOW + 60_000;
const UNTIL = NOW + 600_000;
const DAY_MS = 24 * 3_600_000;

const TARGETS: Readonly<Record<string, PushTarget>> = {
  ios: { platform: 'ios', token: 'token' },
  android: { platform: 'android', token: 'token' },
  web: { platform: 'web', token: '{"endpoint":"https://b"}' },
};

const codeOf = (number = '') => number.padStart(6, '0');

/** `LATER+1`, `NOW+30d+1` */
function timeOf(text: string): number {
  const [, base = '', more = ''] = /^([A-Z]+)(.*)$/.exec(text) ?? [];
  const terms = [...more.matchAll(/([+-]\d+)(d?)/g)];
  const start = { NOW, LATER, UNTIL }[base] as number;
  return terms.reduce((sum, [, n, days]) => sum + Number(n) * (days ? DAY_MS : 1), start);
}

function wordsOf(time: number): string {
  const [base, start] = time < UNTIL - 1000 ? ['LATER', LATER] : ['UNTIL', UNTIL];
  const rest = time - start;
  return rest === 0 ? base : `${base}${rest > 0 ? '+' : ''}${rest}`;
}

/** The secret of `a1`, or the word itself. */
function secretIn(word: string): string {
  const [, device, number] = /^([a-z])(\d)$/.exec(word) ?? [];
  return device ? secretOf(device, codeOf(number)) : word;
}

const once = (key: string) => ({
  key,
  fingerprint: 'f',
  address: '192.0.2.1',
  keptUntil: UNTIL,
});

/** The words of a step: a subject, a verb and its objects; then options with a value each. */
function parse(step: string) {
  const words = step.split(' ');
  const first = words.findIndex((word) => /^(until|at|as|with|requiring|giving|push)$/.test(word));
  const end = first < 0 ? words.length : first;
  const options: Record<string, string | undefined> = {};
  for (let n = end; n < words.length; n += 2) options[words[n] as string] = words[n + 1];
  return { words: words.slice(0, end), options };
}

/** The kind of an outcome, and what else it has. */
function inWords(outcome: { kind: string } & Partial<Record<'roomId' | 'secret', string>>): string {
  const { kind, expiresAt, roomId, secret, target } = outcome as typeof outcome & {
    expiresAt?: number;
    target?: PushTarget;
  };
  const name = Object.keys(TARGETS).find((key) => TARGETS[key]?.platform === target?.platform);
  if (target) expect(target).toEqual(TARGETS[name as string]);
  const time = expiresAt && wordsOf(expiresAt);
  return [kind, time, roomId, secret, target && name].filter(Boolean).join(' ');
}

/** Carries out a step, and returns its outcome. */
async function call(store: PairingStore, step: string): Promise<string> {
  const { words, options } = parse(step);
  const { until, at = 'NOW', as, requiring, giving } = options;
  const [subject = '', verb = '', object = '', , place = ''] = words;
  const [now, repeat] = [timeOf(at), as === undefined ? undefined : once(as)];
  const joinCode = codeOf(object);
  const secret = giving ?? secretOf(subject, joinCode);
  const proof = options.with && secretIn(options.with);
  const given = requiring ?? options.with ?? 'nothing';
  const secrets = given === 'nothing' ? [] : given.split(',').map(secretIn);
  const proofs = { secrets, isRequired: requiring !== undefined };
  const push = options.push === undefined ? undefined : TARGETS[options.push];
  switch (verb) {
    case 'creates': {
      const expiresAt = timeOf(until ?? 'LATER');
      const pending = { joinCode, client1: subject, expiresAt, address: '192.0.2.1', secret };
      return inWords(await store.create({ ...pending, proof, push }, now, repeat));
    }
    case 'accepts': {
      const collectableUntil = timeOf(until ?? 'UNTIL');
      const acceptance = { joinCode, client2: subject, roomId: place, collectableUntil };
      return inWords(await store.accept({ ...acceptance, secret, push }, now, repeat));
    }
    case 'checks':
      return inWords(await store.check(joinCode, subject, now, repeat, true, proof));
    case 'cancels':
      return inWords(await store.cancel(joinCode, subject, now, repeat, proof));
    case 'proves':
      return String(await store.prove(object, subject));
    case 'claims':
      return inWords(await store.claimPush(object, subject, 60_000, now));
    case 'sets': {
      const target = TARGETS[object] ?? null;
      return inWords(await store.setPushTarget(place, subject, target, now, repeat));
    }
    case 'forgets':
      await store.forgetPushTarget(place, subject, TARGETS[object] as PushTarget);
      return '';
  }
  switch (subject) {
    case 'pair': {
      const [, first, second, number, room] = words;
      await call(store, `${first} creates ${number}`);
      return call(store, `${second} accepts ${number} into ${room}`);
    }
    case 'find': {
      const room = await store.findRoom(verb, now);
      return room ? `${room.client1} ${room.client2}` : 'nothing';
    }
    case 'proved': {
      const { client1, client2, secret1, secret2 } = (await store.findRoom(verb, now)) ?? {};
      return [secret1?.isProved && client1, secret2?.isProved && client2].filter(Boolean).join(' ');
    }
    case 'delete':
      return store.deleteRoom(verb, proofs);
    case 'purge': {
      const purged = await store.purge(words.slice(1), now, undefined, proofs);
      if (purged.kind !== 'purged') return purged.kind;
      const { roomsDeleted, pendingsDeleted, roomsKept, pendingsKept } = purged;
      return [roomsDeleted, pendingsDeleted, roomsKept, pendingsKept].join(' ');
    }
    case 'time': {
      const first = await store.firstTime(now, repeat ?? once(''));
      return first.kind === 'first' ? `first NOW+${first.at - NOW}` : first.kind;
    }
    case 'sweep':
      return String((await store.sweep(now)).rooms);
    case 'counts': {
      const { pendings, rooms } = await store.counts();
      return `${pendings} ${rooms}`;
    }
    default:
      throw new Error(`no step: ${step}`);
  }
}

/**
 * Describes the contract.
 *
 * @param open - prepares an empty place for data, and returns a function that opens stores over it
 */
export function pairingStoreContract(name: string, open: () => Promise<OpenStore>): void {
  /** This many stores over the same data, which is empty at first. */
  const stores = async (count: number, limits?: Partial<StoreLimits>): Promise<PairingStore[]> => {
    const opener = await open();
    return Promise.all(
      Array.from({ length: count }, async () => {
        const store = await opener(limits);
        onTestFinished(() => store.close());
        return store;
      }),
    );
  };
  const fresh = async (): Promise<PairingStore> => (await stores(1))[0] as PairingStore;

  /** Tests the rows of a table. */
  const holds = (topic: string, table: string) =>
    describe(`${name}: ${topic}`, () => {
      test.each(rowsOf(table))('%s', async (_title, script) => {
        const [, given = '', rest = script] = /^limits (.*?);\s+(.*)$/s.exec(script) ?? [];
        const limits = given.split(' ').map((limit) => limit.split('='));
        const all = await stores(
          script.includes('2: ') ? 2 : 1,
          given ? Object.fromEntries(limits.map(([key, value]) => [key, Number(value)])) : {},
        );
        for (const step of stepsOf(rest)) {
          const [calls = '', expected = ''] = step.split(' = ');
          const outcomes = await Promise.all(
            calls.split(/\s+& /).map((one) => {
              const at = one.startsWith('2: ') ? 1 : 0;
              return call(all[at] as PairingStore, one.replace('2: ', '')).catch((error) => {
                if (error instanceof Unavailable) return 'unavailable';
                throw error;
              });
            }),
          );
          const outcome = `${outcomes.join(' & ').replaceAll('not_found_or_expired', 'missing')} `;
          const [, single] = /^one (\w+)$/.exec(expected) ?? [];
          const isSame = single
            ? outcomes.filter((each) => each.startsWith(`${single} `)).length === 1
            : expected === '' || outcome.startsWith(`${expected} `);
          expect(`${calls} = ${isSame ? expected : outcome}`).toBe(`${calls} = ${expected}`);
        }
      });
    });

  holds(
    'create',
    `
    the code of another device is a conflict and is not changed: a creates 1;
        b creates 1 until LATER+1 = conflict; a checks 1 = waiting LATER; b checks 1 = missing
    the same device renews its waiting code, also with a shorter lifetime: a creates 1;
        a creates 1 until LATER+1 = created; a checks 1 = waiting LATER+1;
        a creates 1 until LATER-1 = created; a checks 1 = waiting LATER-1
    an expired code is free to the millisecond: a creates 1;
        b creates 1 until LATER+9 at LATER-1 = conflict;
        b creates 1 until LATER+9 at LATER = created; a checks 1 at LATER = missing
    an accepted code is a conflict for every device, including its creator: pair a b 1 room;
        a creates 1 = conflict; b creates 1 = conflict; c creates 1 = conflict;
        a checks 1 = collected room
    an accepted code that was not collected in time is free, and contains nothing of the earlier pairing:
        pair a b 2 room; c creates 2 until UNTIL+9 at UNTIL = created;
        c checks 2 at UNTIL = waiting;
        d accepts 2 into other until UNTIL+9 at UNTIL = accepted other
    `,
  );

  holds(
    'accept',
    `
    an unknown and an expired code are not found, to the millisecond:
        b accepts 1 into room = missing; a creates 1; b accepts 1 into room at LATER = missing;
        find room = nothing; b accepts 1 into room at LATER-1 = accepted room; find room = a b
    a device cannot accept its own code, which stays waiting: a creates 1;
        a accepts 1 into room = own_code; find room = nothing; a checks 1 = waiting
    a second accept is a conflict, and changes nothing: pair a b 1 room;
        b accepts 1 into other = conflict; c accepts 1 into other = conflict; find other = nothing;
        find room = a b
    of many accepts through several stores, one succeeds: a creates 1;
        b accepts 1 into room & 2: c accepts 1 into room & d accepts 1 into room
        & 2: e accepts 1 into room & b accepts 1 into room = one accepted;
        2: f accepts 1 into other = conflict; find other = nothing; a checks 1 = collected room
    the pending is collectable until the given time or its own expiry, whichever is later:
        a creates 1; b accepts 1 into room1 at LATER-1; a creates 2 until UNTIL+500;
        b accepts 2 into room2; a checks 1 at UNTIL-1 = collected room1;
        a checks 2 at UNTIL+499 = collected room2; pair a b 3 room3; a checks 3 at UNTIL = missing
    `,
  );

  holds(
    'check',
    `
    an unknown code, an expired code and another device’s code are not found: a checks 1 = missing;
        a creates 1; b checks 1 = missing; a checks 1 at LATER-1 = waiting;
        a checks 1 at LATER = missing
    an accepted code is collected once, only by its creator, and is then free: pair a b 1 room;
        b checks 1 = missing; a checks 1 = collected room; a checks 1 = missing; find room = a b;
        c creates 1 = created
    of many checks through several stores, one collects: pair a b 1 room;
        a checks 1 & 2: a checks 1 & a checks 1 & 2: a checks 1 & 2: a checks 1 = one collected
    the room is that of this pending, not of another pairing of the same devices: pair a b 1 first;
        pair a b 2 second; pair a b 3 third; a checks 2 = collected second;
        a checks 3 = collected third; a checks 1 = collected first
    a deleted room is not found, with and without a key, and its code is free: pair a b 1 room1;
        pair a b 2 room2; 2: delete room1; 2: delete room2; a checks 1 = missing;
        a checks 2 as check = missing; 2: a checks 2 as check = missing; c creates 1 = created
    a check with a stored answer gets the same answer after the room was deleted: pair a b 1 room;
        a checks 1 as check = collected room; delete room; a checks 1 as check = collected room
    a room that the other device purged, or that was idle for too long, is not found:
        limits roomIdleMs=1; pair a b 1 room1; pair c d 2 room2; purge b; a checks 1 = missing;
        sweep at NOW+2 = 1; c checks 2 at NOW+2 = missing
    `,
  );

  holds(
    'cancel',
    `
    a cancelled code is gone for every device, and free at once: a creates 1;
        2: a cancels 1 = cancelled; a checks 1 = missing; b accepts 1 into room = missing;
        counts = 0 0; 2: c creates 1 = created
    an unknown code, another device’s code and an accepted code are not changed, with the same outcome:
        a creates 1; pair a b 2 room; a cancels 0 = cancelled; b cancels 1 = cancelled;
        a\0 cancels 1 = cancelled; a cancels 2 = cancelled; b cancels 2 = cancelled;
        a checks 1 = waiting; a checks 2 = collected room
    a cancelled code no longer counts in the limits of device and address:
        limits pendingsPerDevice=1 pendingsPerAddress=1; a creates 1 = created;
        b creates 9 = too_many; a cancels 1; a creates 2 = created; b creates 9 = too_many;
        a cancels 2; a creates 3 = created
    with a key, a repeat does not cancel a code that was created since: a creates 1;
        a cancels 1 as cancel = cancelled; a creates 1; a cancels 1 as cancel = cancelled;
        a checks 1 = waiting
    `,
  );

  holds(
    'requests with a key',
    `
    several stores share the records, which expire to the millisecond: a creates 1;
        b accepts 1 into room as k
        & 2: b accepts 1 into room as k = accepted room b of 000001 & accepted room b of 000001;
        2: b accepts 1 into other at UNTIL-1 as k = accepted room;
        b accepts 1 into other at UNTIL as k = missing; time as time = first NOW+0;
        2: time at NOW+5 as time = first NOW+0; 2: time at UNTIL as time = first NOW+600000
    `,
  );

  holds(
    'rooms and purge',
    `
    a purge deletes rows of either side, counts each row once, and keeps the rest: pair a b 1 ab;
        pair c a 2 ca; pair c d 3 cd; c checks 2; a creates 4; c creates 5;
        purge a b a nobody = 2 2 0 0; find cd = c d; a checks 1 = missing;
        c checks 3 = collected cd; c checks 5 = waiting; purge a = 0 0 0 0
    `,
  );

  holds(
    'device secrets',
    `
    create and accept return the given secret, and a repeat returns the first one:
        a creates 1 as create = created LATER a of 000001;
        a creates 1 until LATER+9 as create giving other = created LATER a of 000001;
        b accepts 1 into room as accept = accepted room b of 000001;
        b accepts 1 into other as accept giving other = accepted room b of 000001
    a check with a wrong secret finds nothing; one without a secret does so after the first proof:
        a creates 1; a checks 1 with wrong = missing; a checks 1 = waiting;
        b checks 1 with a1 = missing; a checks 1 with a1 = waiting; 2: a checks 1 = missing;
        2: a checks 1 with a1 = waiting; b accepts 1 into room; a checks 1 = missing;
        a checks 1 with wrong = missing; a checks 1 with b1 = missing;
        a checks 1 with a1 = collected room; proved room = a
    a secret in the check that collects the room is a proof, also with a key: pair a b 1 room;
        a checks 1 as key with a1 = collected room; proved room = a
    a code can be renewed without a secret until the first proof, and then only with it:
        a creates 1; a creates 1 giving second = created LATER second;
        a checks 1 with a1 = missing; a creates 1 giving third with a1 = conflict;
        a checks 1 with second = waiting; a creates 1 giving fourth = conflict;
        a creates 1 giving fourth with wrong = conflict;
        a creates 1 giving fourth with second = created LATER second; a checks 1 = missing;
        a checks 1 with second = waiting
    the proof of a code does not apply to the next device that creates it: a creates 1;
        a checks 1 with a1; c creates 1 until UNTIL at LATER giving s with any = created UNTIL s;
        c checks 1 at LATER = waiting
    a code of a proved device can be cancelled only with its secret: a creates 1;
        a cancels 1 with wrong; a checks 1 with a1 = waiting; a cancels 1; a cancels 1 with wrong;
        a checks 1 with a1 = waiting; a cancels 1 with a1; a checks 1 with a1 = missing
    a renewal with the secret is a proof: a creates 1; a creates 1 with a1; a checks 1 = missing
    a device is marked as proved in its room, and the other is not: pair a b 1 room;
        a proves unknown = false; b proves room = true; 2: proved room = b; b proves room = true;
        2: proved room = b; a proves room & 2: a proves room = true & true; 2: proved room = a b;
        delete room with a1 = deleted; a proves room = false; find room = nothing
    a room can be deleted without a secret only if no device has proved itself, and never with a wrong secret:
        pair a b 1 room1; delete room1 with wrong = forbidden;
        delete room1 requiring nothing = forbidden; delete room1 requiring wrong = forbidden;
        find room1 = a b; delete room1 = deleted; delete room1 = absent;
        delete room1 requiring any = absent; pair a b 2 room2; a proves room2;
        delete room2 = forbidden; delete room2 with a1 = forbidden; find room2 = a b
    the device that has proved nothing may delete the room with its own secret, too:
        pair a b 2 room2; a proves room2; delete room2 with b2 = deleted; pair a b 3 room3;
        b proves room3; delete room3 requiring b3 = deleted; pair a b 4 room4;
        delete room4 requiring a4 = deleted
    a purge keeps rows whose required secret is missing, and counts exactly: pair a b 1 room1;
        pair b a 2 room2; pair a b 3 room3; a checks 1 with a1; a proves room2; a creates 4;
        a checks 4 with a4; a creates 5; purge a b a with wrong = 1 2 2 2; find room1 = a b;
        find room3 = nothing; b checks 2 = collected room2; purge a with b1,a4 = 1 1 1 0;
        purge b with a2 = 1 0 0 0
    if secrets are required, a purge deletes only rows that it proves: pair a b 1 room1;
        pair a c 2 room2; a creates 3; purge a requiring b1 = 1 1 1 2; a checks 2 = collected room2
    `,
  );

  holds(
    'push targets',
    `
    a room has the targets of create and accept, each for its own device: a creates 1 push ios;
        b accepts 1 into room push web; a checks 1; a claims room = claimed ios;
        b claims room = claimed web; c claims room = no_target; a claims unknown = no_target
    a renewed code has the target of the renewal; a repeat changes nothing:
        a creates 1 as first push ios; a creates 1 push web; a creates 1 as first push ios;
        b accepts 1 into room; a claims room = claimed web; b claims room = no_target
    a code that is renewed without a target has none: a creates 1 push ios; a creates 1;
        b accepts 1 into room; a claims room = no_target
    a target is claimed at most once per time and device, to the millisecond: a creates 1 push ios;
        b accepts 1 into room push web; a claims room = claimed;
        a claims room at NOW+59999 = too_soon; b claims room at NOW+59999 = claimed;
        a claims room at NOW+60000 = claimed
    a target can be claimed after the clock was set back: a creates 1 push ios;
        b accepts 1 into room; a claims room at NOW+60000 = claimed; a claims room = claimed
    of many claims through several stores, one succeeds: a creates 1 push ios;
        b accepts 1 into room;
        a claims room & 2: a claims room & a claims room & 2: a claims room = one claimed;
        a claims room = too_soon
    a device of the room renews and deletes its target, and a repeat does not undo a later call:
        a creates 1 push ios; b accepts 1 into room; a sets web in room as first = set;
        b sets ios in room = set; a claims room = claimed web; a sets nothing in room = set;
        a sets web in room as first = set; a claims room = no_target; b claims room = claimed ios;
        c sets ios in room = not_paired; a\0 sets ios in room = not_paired;
        a sets ios in unknown = not_paired
    a dead target is deleted, unless the device has renewed it: a creates 1 push ios;
        b accepts 1 into room push ios; a forgets web in room; a forgets android in room;
        a forgets ios in unknown; b forgets ios in room; a claims room = claimed ios;
        b claims room = no_target
    nothing is left of a room that is deleted: a creates 1 push ios;
        b accepts 1 into room push web; a checks 1; a claims room; delete room;
        b claims room = no_target; b sets web in room = not_paired; pair a b 1 room;
        a claims room = no_target; b claims room = no_target
    nothing is left of a room that is purged: a creates 1 push ios; b accepts 1 into room push web;
        a checks 1; a claims room; purge b; b claims room = no_target;
        b sets web in room = not_paired; pair a b 1 room; a claims room = no_target;
        b claims room = no_target
    `,
  );

  holds(
    'limits and idle rooms',
    `
    live pendings are limited per device and per address; a conflict and a collected one do not count:
        limits pendingsPerDevice=2 pendingsPerAddress=3; a creates 1 = created;
        a creates 2 = created; a creates 3 = too_many; a creates 2 = created;
        b creates 4 = created; c creates 5 = too_many; d creates 1 = conflict;
        d creates 9 = too_many; z accepts 1 into room; a checks 1; a creates 6 = created;
        d creates 7 = too_many; d creates 8 until LATER+60000 at LATER = created
    at the maximum of rooms or records, further ones are unavailable:
        limits rooms=1 idempotencyRecords=1; a creates 1 as first;
        a creates 2 as second = unavailable; a creates 1 as first = created; b accepts 1 into room;
        a creates 2; b accepts 2 into other = unavailable; delete room;
        b accepts 2 into other = accepted
    idle rooms are swept to the millisecond, a use is recorded once a day, and counts are exact:
        limits roomIdleMs=2592000000;
        pair a b 1 room1 & pair c d 2 room2 & pair e f 3 room3 & pair g h 4 room4; counts = 4 4;
        find room1 at NOW+1d; find room2 at NOW+1d+1; sweep at NOW+30d = 0; sweep at NOW+30d+1 = 3;
        counts = 0 1; find room2 = c d
    a sweep deletes expired rows, and no live ones: a creates 1; a creates 2 until LATER+1;
        pair a b 3 room; sweep at LATER; a checks 1 at LATER-1 = missing;
        a checks 2 at LATER = waiting; a checks 3 at LATER = collected; sweep at UNTIL+9000d;
        find room = a b
    `,
  );

  describe(`${name}: races, ids and changes`, () => {
    const pair = (store: PairingStore, joinCode: string, client1: string, roomId: string) =>
      create(store, joinCode, client1, LATER, NOW).then(() =>
        accept(store, joinCode, 'second device', roomId, UNTIL, NOW),
      );

    test('of a concurrent accept and cancel, either the room exists or the code does not', async () => {
      const [one, other] = (await stores(2)) as [PairingStore, PairingStore];
      for (let n = 0; n < 20; n++) {
        const [joinCode, roomId] = [codeOf(String(n)), `room${n}`];
        await create(one, joinCode, 'a', LATER, NOW);
        const [accepted] = await Promise.all([
          accept(one, joinCode, 'b', roomId, UNTIL, NOW),
          other.cancel(joinCode, 'a', NOW),
        ]);
        expect(await one.check(joinCode, 'a', NOW)).toEqual(
          accepted.kind === 'accepted'
            ? { kind: 'collected', roomId }
            : { kind: 'not_found_or_expired' },
        );
      }
    });

    test('of each secret, only the digest is kept', async () => {
      const store = await fresh();
      await pair(store, '000001', 'a', 'room');
      const digest = (device: string) => secretHash(secretOf(device, '000001'));
      expect(await store.findRoom('room', NOW)).toMatchObject({
        secret1: { hash: digest('a'), isProved: false },
        secret2: { hash: digest('second device'), isProved: false },
      });
    });

    test.each(LEGAL_IDS)('an id of %s is stored byte for byte', async (_name, id) => {
      const store = await fresh();
      await pair(store, '000001', id, 'room');
      expect((await store.findRoom('room', NOW))?.client1).toBe(id);
      const near = [`${id}x`, `${id}\u0000`, `${id} `];
      expect(await purge(store, near)).toEqual({ roomsDeleted: 0, pendingsDeleted: 0 });
      expect(await purge(store, [id])).toEqual({ roomsDeleted: 1, pendingsDeleted: 1 });
    });

    test('listeners get each code that is created, renewed, accepted, purged or cancelled', async () => {
      const store = await fresh();
      const told: string[] = [];
      store.onChange((joinCode) => told.push(joinCode));
      const steps = ['a creates 1', 'a creates 1', 'b creates 1'];
      for (const step of [...steps, 'a creates 2', 'b cancels 2', 'a cancels 2']) {
        await call(store, step);
      }
      await expect.poll(() => told).toEqual(['000001', '000001', '000002', '000002']);
      await call(store, 'b accepts 1 into room');
      await expect.poll(() => told.length).toBeGreaterThan(4);
      told.length = 0;
      await call(store, 'purge b');
      await expect.poll(() => told).toEqual(['000001']);
    });
  });
}
