// Handmade histories: the checker finds each violation of an invariant, and reports no other event.
import { describe, expect, test } from 'vitest';
import { check } from './check.js';
import { BOUNDS, pairOfTwo, Scripted } from './scripted.js';
import { explain } from './violation.js';

/** The rules that each history breaks, in their words; most break none or one. */
type Cases = Record<string, readonly [story: () => Scripted, ...broken: string[]]>;

const judges = (cases: Cases) =>
  test.each(Object.entries(cases))('%s', (_title, [story, ...broken]) =>
    expect(story().broken()).toEqual(broken),
  );

/** Histories in which something takes a time: just within the bound they are correct, and just beyond it not. */
const bounds = (cases: Record<string, [ms: number, story: (ms: number) => Scripted, string]>) =>
  test.each(Object.entries(cases))('%s', (_title, [ms, story, rule]) => {
    expect(story(ms - 100).broken()).toEqual([]);
    expect(story(ms + 100).broken()).toContain(rule);
  });

const NO_MEMBERS = 'a room never has three members';
const ANNOUNCED = 'a peer that goes is announced';
const PRESENT = 'frames come from the present peer';

describe('roles', () => {
  const alike = 'exactly one initiator in each room_ready';
  const byPairing = 'the device that made the code is the initiator';
  const paired = () =>
    new Scripted().request('create', 'A', 201).request('accept', 'B', 200, { roomid: 'room' });
  judges({
    'one initiator': [pairOfTwo],
    'no initiator': [
      () => {
        const history = new Scripted().comes(1, 'A', 0, false).connect(2, 1, 'acceptor');
        history.asksToJoin(2, 'room', 'B').isJoined(2, 'room', 2, false);
        return history.isReady(2, false).isReady(1, false).passes(1, 2).passes(2, 1);
      },
      alike,
    ],
    'a frame that crossed the update of another peer proves no membership': [
      () => {
        const history = new Scripted().comes(2, 'B', 0).meets(1, 'A', 0, 2);
        // 1 is not the initiator and sends while 2 leaves and 3 joins; then 1 becomes the initiator.
        history.passes(1, 2).passes(2, 1).givesUp(2, 'close').connect(3, 0, 'third');
        const crossed = history.says(1);
        history.asksToJoin(3, 'room', 'C').isJoined(3, 'room', 2, false).isReady(3, false);
        history.hears(3, crossed).isTold(1, 'peer_disconnected').isReady(1, true);
        return history.passes(3, 1).passes(1, 3);
      },
    ],
    'the acceptor of a paired room as the initiator': [
      () => paired().comes(1, 'B', 0, true, 'acceptor'),
      byPairing,
    ],
    'the order of arrival after Redis has lost the pairing': [
      () => paired().begins('redis-flush').ends('redis-flush').comes(1, 'B', 0, true, 'acceptor'),
    ],
  });

  test('two initiators', () => {
    const history = new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1);
    expect(history.isReady(2, true).passes(1, 2).passes(2, 1).broken()).toContain(alike);
  });
});

describe('service', () => {
  const available = 'available where no fault is near';
  const reason = 'no connection is closed without its reason';
  const refused = () => new Scripted().connect(1).asksToJoin(1, 'room', 'A');
  const code = { code: 'unavailable' };
  const full = () => pairOfTwo().begins('redis-full');
  const joinsFull = (room: string) =>
    full().connect(3).asksToJoin(3, room, 'B').isTold(3, 'error', code);
  const burst = () => new Scripted().connect(1, 0, 'crowd').asksToJoin(1, 'room', 'A');
  judges({
    'unavailable without a fault': [() => refused().isTold(1, 'error', code), available],
    'unavailable during a fault': [() => refused().begins('cut', 0).isTold(1, 'error', code)],
    '503 without a fault': [() => new Scripted().request('create', 'A', 503), available],
    '408 to a request': [
      () => {
        const history = new Scripted();
        const op = history.asks('create', 'A');
        return history.after(1000).isAnswered(op, 408);
      },
      available,
    ],
    '408 to an unused connection': [() => new Scripted().request('create', 'A', 408)],
    'a lost connection without a fault': [
      () => new Scripted().connect(1).isClosed(1, 1006),
      reason,
    ],
    '1011 during a fault': [
      () => new Scripted().connect(1).begins('cut', 0).isClosed(1, 1011),
      reason,
    ],
    '4001 without a request for the seat': [() => pairOfTwo().isClosed(2, 4001), reason],
    'a full Redis refuses to create': [() => full().request('create', 'A', 503)],
    'a full Redis refuses to accept': [() => full().request('accept', 'A', 503)],
    'a full Redis refuses a check': [() => full().request('check', 'A', 503), available],
    'a full Redis refuses a new room': [() => joinsFull('another')],
    'a full Redis refuses a room with members': [() => joinsFull('room'), available],
    'a full Redis separates peers': [
      () => full().isTold(1, 'peer_disconnected'),
      'nobody is told that a peer is gone who is there',
    ],
    'joins of a burst are refused': [() => burst().isTold(1, 'error', code)],
    'joins of a burst are closed': [() => burst().isClosed(1, 1011), reason],
    'a server that ends by itself': [
      () => new Scripted().add({ kind: 'died', node: 1, how: '1' }),
      'no server ends by itself',
    ],
    'a log with identifying data': [
      () => new Scripted().add({ kind: 'leaked', node: 1, line: 'room …' }),
      'nothing of a pairing is logged',
    ],
  });

  const usable = 'everything is usable again after the last fault';
  const recovering = () => pairOfTwo().add({ kind: 'recovery', pairs: 1 }).passes(1, 2);
  bounds({
    'a pair talks both ways': [9998, (ms) => recovering().after(ms).passes(2, 1), usable],
    'a stall of the test does not count': [
      9998,
      (ms) => {
        const stalled = recovering().begins('stall').after(5000).ends('stall');
        return stalled.after(ms).passes(2, 1);
      },
      usable,
    ],
  });
  judges({
    'a pair that never talks both ways': [recovering, usable],
    'a message from before the end of the fault proves nothing': [
      () => {
        const history = pairOfTwo();
        const early = history.says(2);
        return history.add({ kind: 'recovery', pairs: 1 }).passes(1, 2).hears(1, early);
      },
      usable,
    ],
  });

  test('the duration of a recovery is reported', () => {
    expect(check(recovering().passes(2, 1).events, BOUNDS).recoveriesMs[0]).toBe(4);
  });
});

describe('frames', () => {
  const order = "a sender's order, without duplicates";
  const told = 'a frame is delivered, or both members are told';
  const unchanged = 'content is forwarded unchanged';
  const lose = (history: Scripted) => history.loses(1).passes(1, 2);
  const both = (history: Scripted) => {
    for (const conn of [1, 2]) history.isTold(conn, 'peer_disconnected').isReady(conn, conn === 1);
    return history.passes(1, 2).passes(2, 1);
  };
  const heard = (as: object) => () => {
    const history = pairOfTwo();
    return history.hears(2, history.says(1), as);
  };
  judges({
    'a duplicate': [
      () => {
        const history = pairOfTwo();
        const label = history.says(1);
        return history.hears(2, label).hears(2, label);
      },
      order,
    ],
    'the wrong order': [
      () => {
        const history = pairOfTwo();
        const [one, other] = [history.says(1), history.says(1)];
        return history.hears(2, other).hears(2, one);
      },
      order,
    ],
    'a lost frame between two others': [() => lose(pairOfTwo()), told],
    'the same during a cut': [() => lose(pairOfTwo().begins('cut', 1)), told],
    'the same during a restart of Redis': [() => lose(pairOfTwo().begins('redis-restart')), told],
    'a lost first frame': [
      () => lose(new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1)).passes(2, 1),
      told,
    ],
    'a loss that both members are told of': [
      () => both(pairOfTwo().begins('redis-restart').loses(1)),
    ],
    'a loss that only the sender is told of': [
      () => {
        const history = pairOfTwo().begins('redis-restart').ends('redis-restart').loses(1);
        return history.isTold(1, 'peer_disconnected').isReady(1, true).passes(1, 2).passes(2, 1);
      },
      told,
    ],
    'a loss that only the receiver is told of': [
      () => {
        const history = pairOfTwo().begins('redis-restart').ends('redis-restart').loses(1);
        history.isTold(2, 'peer_disconnected').isReady(2, false);
        return history.passes(2, 1).after(20_000).passes(2, 1);
      },
      told,
    ],
    'a loss whose receiver ends by itself': [
      () => {
        const history = pairOfTwo().loses(1).givesUp(2, 'terminate');
        return history.isTold(1, 'peer_disconnected').after(20_000);
      },
    ],
    'a loss whose receiver joined again before it left': [
      () => {
        const history = pairOfTwo().asksToJoin(2, 'room', 'B').isJoined(2, 'room', 2, false);
        history.isReady(2, false).givesUp(2, 'fade').loses(1);
        return history.after(3900).isTold(1, 'peer_disconnected');
      },
    ],
    'a wrong sender': [heard({ from: 'client 2' }), '`from` is the sender'],
    'a wrong room': [heard({ roomId: 'another' }), 'no frame across rooms'],
    'wrong content': [() => pairOfTwo().hears(2, null), unchanged],
    'a frame that was never sent': [
      () => {
        const history = pairOfTwo();
        return history.hears(2, { ...history.says(1), initiator: false });
      },
      unchanged,
    ],
    'a frame from a peer that has gone': [
      () => {
        const history = pairOfTwo();
        const late = history.says(2);
        return history.givesUp(2, 'close').isTold(1, 'peer_disconnected').hears(1, late);
      },
      PRESENT,
    ],
    'a frame that crosses a leave': [
      () => {
        const history = pairOfTwo();
        const crossing = history.says(2);
        return history.leaves(1).hears(1, crossing);
      },
    ],
    'a frame of a replaced connection among those of its successor': [
      () => {
        const history = pairOfTwo().begins('pause', 1).after(4900);
        history.isTold(1, 'peer_disconnected').connect(3, 2, 'acceptor');
        history.asksToJoin(3, 'room', 'B').isJoined(3, 'room', 2, false).isReady(3, false);
        history.isReady(1, true).passes(3, 1);
        const late = history.says(2);
        return history.ends('pause', 1).hears(1, late).isClosed(2, 4001);
      },
      PRESENT,
    ],
  });

  test('a frame from another room, and one after a leave', () => {
    const crossed = pairOfTwo().connect(3, 0, 'third').asksToJoin(3, 'other', 'C');
    crossed.isJoined(3, 'other', 1, true).passes(3, 2);
    const left = pairOfTwo().leaves(1).isTold(1, 'left_room', { roomId: 'room' }).passes(2, 1);
    for (const history of [crossed, left]) {
      expect(history.broken()).toContain('no frame across rooms');
    }
  });

  bounds({
    'both are told of a lost last frame after the fault': [
      6000,
      (ms) => {
        const history = pairOfTwo().begins('cut', 1).loses(1).after(3000).ends('cut', 1);
        return history.after(ms).passes(2, 1);
      },
      told,
    ],
    'the sender is told without a known peer': [
      5000,
      (ms) => {
        const alone = new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1).givesUp(2, 'fade');
        return alone.loses(1).after(ms).isTold(1, 'peer_disconnected');
      },
      told,
    ],
  });
});

describe('seats', () => {
  const lostSeat = 'no seat is lost';
  const third = (history: Scripted) => history.connect(3, 2, 'third').asksToJoin(3, 'room', 'C');
  const full = (history: Scripted) => third(history).isTold(3, 'room_full', { roomId: 'room' });
  const seatOnPaused = () => {
    const history = pairOfTwo().begins('pause', 1).after(4900).isTold(1, 'peer_disconnected');
    return third(history).isJoined(3, 'room', 2, false).isReady(3, false).isReady(1, true);
  };
  const takenOver = () => {
    const history = pairOfTwo().connect(3, 2, 'acceptor').asksToJoin(3, 'room', 'B');
    history.isJoined(3, 'room', 2, false).isReady(3, false);
    return history.isTold(1, 'peer_disconnected').isReady(1, true);
  };
  judges({
    'a third member beside two others': [
      () => third(pairOfTwo()).isJoined(3, 'room', 2, false),
      NO_MEMBERS,
    ],
    'a userCount of three': [
      () => new Scripted().connect(1).asksToJoin(1, 'room', 'A').isJoined(1, 'room', 3, true),
      NO_MEMBERS,
    ],
    'a third device after a hang-up': [
      () => {
        const history = third(pairOfTwo().givesUp(2, 'terminate')).isJoined(3, 'room', 2, false);
        return history.isReady(3, false).isTold(1, 'peer_disconnected').isReady(1, true);
      },
    ],
    'a third device in the seat of a member on a paused server': [
      () => seatOnPaused().ends('pause', 1).after(100).isClosed(2, 1013),
    ],
    'a replaced member that its server does not close afterwards': [
      () => seatOnPaused().ends('pause', 1).after(5100).passes(3, 1),
      NO_MEMBERS,
    ],
    'room_full beside two members': [() => full(pairOfTwo())],
    'room_full after a departure': [
      () => {
        const left = pairOfTwo().leaves(2).isTold(2, 'left_room', { roomId: 'room' });
        return full(left.isTold(1, 'peer_left'));
      },
      lostSeat,
    ],
    'room_full while a partitioned server cannot report a departure': [
      () => full(pairOfTwo().begins('cut', 1).leaves(2).isTold(2, 'left_room', { roomId: 'room' })),
    ],
  });

  bounds({
    'a replaced connection is closed': [
      1000,
      (ms) => takenOver().after(ms).isClosed(2, 4001),
      'a replaced connection is closed',
    ],
    'room_full until a hang-up must be detected': [
      4950,
      (ms) => {
        const killed = pairOfTwo().begins('kill', 1).isClosed(2, 1006).after(ms);
        return full(killed.isTold(1, 'peer_disconnected'));
      },
      lostSeat,
    ],
  });
});

describe('peers that leave', () => {
  const survivor = 'a survivor is told of a dead peer within the bound';
  const wrong = 'nobody is told that a peer is gone who is there';
  const paused = (ms: number) => pairOfTwo().begins('pause', 1).after(ms);
  bounds({
    'a hang-up is told at once': [
      1000,
      (ms) => pairOfTwo().givesUp(2, 'close').after(ms).isTold(1, 'peer_disconnected'),
      survivor,
    ],
    'a dead server is told when its lease has expired': [
      5000,
      (ms) => {
        const killed = pairOfTwo().begins('kill', 1).isClosed(2, 1006).after(ms);
        return killed.isTold(1, 'peer_disconnected');
      },
      survivor,
    ],
    'a paused server is told when its lease has expired': [
      5000,
      (ms) => paused(ms).isTold(1, 'peer_disconnected'),
      survivor,
    ],
    'a silent peer is told after the heartbeat': [
      4000,
      (ms) => pairOfTwo().givesUp(2, 'fade').after(ms).isTold(1, 'peer_disconnected'),
      survivor,
    ],
    'a survivor on a disturbed server is told after the fault': [
      6000,
      (ms) => {
        const history = pairOfTwo().givesUp(2, 'close').begins('cut', 0).after(3000).ends('cut', 0);
        return history.after(ms).isTold(1, 'peer_disconnected');
      },
      survivor,
    ],
  });

  judges({
    'a server that was paused for less than its lease': [
      () => paused(4900).ends('pause', 1).after(60_000).passes(1, 2),
    ],
    'a server that is only busy': [() => pairOfTwo().begins('burst', 1).after(60_000).passes(1, 2)],
    'peer_disconnected about a present peer': [
      () => pairOfTwo().isTold(1, 'peer_disconnected'),
      wrong,
    ],
    'peer_left about a present peer': [() => pairOfTwo().isTold(1, 'peer_left'), wrong],
    'the same during a restart of Redis': [
      () => pairOfTwo().begins('redis-restart').isTold(1, 'peer_disconnected'),
    ],
    'a report about a peer that never joined': [
      () => new Scripted().comes(1, 'A', 0).isTold(1, 'peer_left'),
      'told only of a peer that was there',
    ],
    'another peer without an announcement': [() => pairOfTwo().isReady(1, true), ANNOUNCED],
    'room_ready after a repeated join': [
      () => {
        const again = pairOfTwo().asksToJoin(1, 'room', 'A').isJoined(1, 'room', 2, true);
        return again.isReady(1, true);
      },
    ],
    'no_peer to a client that has one': [
      () => pairOfTwo().isTold(1, 'error', { code: 'no_peer' }),
      ANNOUNCED,
    ],
    'no_peer to a client whose peer has gone': [
      () => {
        const gone = pairOfTwo().givesUp(2, 'close').isTold(1, 'peer_disconnected');
        return gone.isTold(1, 'error', { code: 'no_peer' });
      },
    ],
  });
});

describe('pairing', () => {
  const live = 'no 404 to a live pairing';
  const documented = 'REST answers as documented';
  const room = { roomid: 'r', client1: 'A', client2: 'B' };
  const created = () => new Scripted().request('create', 'A', 201, { ok: true });
  const accepted = () => created().request('accept', 'B', 200, { roomid: 'r' });
  const flush = (history: Scripted) => history.begins('redis-flush').ends('redis-flush');
  /** The answer to an accept after another accept or a check. */
  const answered = (status: number, before: { accept?: boolean; check?: boolean }) => () => {
    const history = created();
    if (before.accept) history.asks('accept', 'C');
    if (before.check) history.asks('check', 'A');
    return history.request('accept', 'B', status, { error: '…' });
  };
  const purged = () => {
    const history = accepted();
    const purge = history.asks('purge', 'B');
    const meanwhile = history.asks('get', 'A');
    return history.isAnswered(purge, 200, { roomsDeleted: 1 }).isAnswered(meanwhile, 200, room);
  };
  judges({
    'lost answers, repeats and outages': [
      () => {
        const history = created();
        const accept = history.asks('accept', 'B');
        history.add({ kind: 'lost', op: accept }).begins('redis-restart');
        history.asks('accept', 'B', 1, accept);
        history.isAnswered(accept, 503);
        history.asks('accept', 'B', 1, accept);
        history.isAnswered(accept, 409, { error: 'request_in_progress' });
        history.asks('accept', 'B', 2, accept);
        history.isAnswered(accept, 200, { roomid: 'r' }).isAnswered(accept, 200, { roomid: 'r' });
        return history.request('check', 'A', 200, { roomid: 'r' }).request('get', 'A', 200, room);
      },
    ],
    'two devices that get one code': [
      () => accepted().request('accept', 'C', 200, { roomid: 'r' }),
      'a code is accepted by at most one device',
    ],
    'two rooms of one code': [
      () => accepted().request('check', 'A', 200, { roomid: 'another' }),
      'one code, one room',
    ],
    'a repeat with another answer': [
      () => {
        const history = created();
        const op = history.asks('check', 'A');
        history.isAnswered(op, 204).asks('check', 'A', 1, op);
        return history.isAnswered(op, 200, { roomid: 'r' });
      },
      'a repeat gets the first answer again',
    ],
    'a purged room that is gone': [() => purged().request('get', 'A', 404, { error: 'not_found' })],
    'a purged room that is back': [
      () => purged().request('get', 'A', 200, room),
      'what was purged is gone, and stays so',
    ],
    '404 to a check during a failover': [
      () => accepted().begins('failover').request('check', 'A', 404),
      live,
    ],
    '404 to a get': [() => accepted().request('get', 'A', 404), live],
    '409 to an accept after another': [answered(409, { accept: true })],
    '404 to an accept after another was collected': [answered(404, { accept: true, check: true })],
    '409 to the only accept': [answered(409, { check: true }), documented],
    '404 to an accept before another was collected': [answered(404, { accept: true }), live],
    '404 to the only accept': [answered(404, { check: true }), live],
    '429': [() => new Scripted().request('create', 'A', 429), documented],
    '500': [() => new Scripted().request('create', 'A', 500), documented],
    '422': [() => new Scripted().request('create', 'A', 422), documented],
    '204 to a check after the answer to the accept': [
      () => accepted().request('check', 'A', 204),
      'an answer that was sent is durable',
    ],
    'other devices than those that paired': [
      () => accepted().request('get', 'A', 200, { ...room, client2: 'C' }),
      'a room has its two devices',
    ],
    '404 to a pairing that was lost': [() => flush(accepted()).request('check', 'A', 404)],
    '404 to a request during the loss': [
      () => {
        const history = accepted();
        const held = history.asks('check', 'A');
        return flush(history).isAnswered(held, 404);
      },
    ],
    '404 to a pairing after the loss': [
      () => flush(new Scripted()).request('create', 'A', 201).request('accept', 'B', 404),
      live,
    ],
  });

  const held = (history: Scripted) => (ms: number) => {
    const check = history.asks('check', 'A', 1);
    history.request('accept', 'B', 200, { roomid: 'r' });
    return history.after(ms).isAnswered(check, 200, { roomid: 'r' });
  };
  bounds({
    'a held check is woken': [1000, (ms) => held(created())(ms), 'a held check is woken'],
  });
  judges({
    'a held check on a disturbed server': [() => held(created().begins('cut', 1))(5000)],
  });
});

test('a violation is shown only with the events of its connections and the faults around it', () => {
  const history = pairOfTwo().connect(9, 0, 'third').begins('cut', 0).passes(1, 2);
  history.events.push({ ...(history.events.at(-1) as (typeof history.events)[number]) });
  const [violation] = check(history.events, BOUNDS).violations;
  const shown = explain(history.events, violation as NonNullable<typeof violation>);
  expect(shown).toContain("a sender's order, without duplicates");
  expect(shown).toContain('"n":2');
  expect(shown).toContain('fault');
  expect(shown).not.toContain('client 9');
});
