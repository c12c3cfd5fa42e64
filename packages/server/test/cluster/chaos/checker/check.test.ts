// Histories made by hand: each breach of an invariant is found, and what only looks like one is not.
import { describe, expect, test } from 'vitest';
import { check } from './check.js';
import { BOUNDS, pairOfTwo, Scripted } from './scripted.js';
import { explain } from './violation.js';

describe('roles', () => {
  test('two who hear each other, one of them the initiator, break nothing', () => {
    expect(pairOfTwo().broken()).toEqual([]);
  });

  test('two initiators of one membership are found', () => {
    const history = new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1);
    history.isReady(2, true);
    history.passes(1, 2).passes(2, 1);
    expect(history.broken()).toContain('exactly one initiator in each room_ready');
  });

  test('two who both wait for an offer are found', () => {
    const history = new Scripted().comes(1, 'A', 0, false).connect(2, 1, 'acceptor');
    history.asksToJoin(2, 'room', 'B').isJoined(2, 'room', 2, false);
    history.isReady(2, false).isReady(1, false).passes(1, 2).passes(2, 1);
    expect(history.broken()).toEqual(['exactly one initiator in each room_ready']);
  });

  test('a frame that crossed the news of another peer makes no membership', () => {
    const history = new Scripted().comes(2, 'B', 0).meets(1, 'A', 0, 2).passes(1, 2).passes(2, 1);
    // 1, not the initiator, speaks while 2 goes and 3 comes: 3 is no initiator either, and 1 becomes it.
    history.givesUp(2, 'close').connect(3, 0, 'third');
    const crossed = history.says(1);
    history.asksToJoin(3, 'room', 'C').isJoined(3, 'room', 2, false).isReady(3, false);
    history.hears(3, crossed).isTold(1, 'peer_disconnected').isReady(1, true);
    history.passes(3, 1).passes(1, 3);
    expect(history.broken()).toEqual([]);
  });

  test('in a paired room the acceptor is never told that it is the initiator', () => {
    const history = new Scripted();
    history.isAnswered(history.asks('create', 'A'), 201);
    history.isAnswered(history.asks('accept', 'B'), 200, { roomid: 'room' });
    history.comes(1, 'B', 0, true, 'acceptor');
    expect(history.broken()).toEqual(['the device that made the code is the initiator']);
  });
});

describe('seats', () => {
  const threeIn = () => pairOfTwo().connect(3, 2, 'third').asksToJoin(3, 'room', 'C');

  test('a third who is told room_joined while two sit there is found', () => {
    const history = threeIn().isJoined(3, 'room', 2, false);
    expect(history.broken()).toEqual(['a room never has three members']);
  });

  test('three in a room by its own count are found', () => {
    const history = new Scripted()
      .connect(1)
      .asksToJoin(1, 'room', 'A')
      .isJoined(1, 'room', 3, true);
    expect(history.broken()).toEqual(['a room never has three members']);
  });

  test('a third who comes when one has hung up is none', () => {
    const history = pairOfTwo().givesUp(2, 'terminate').connect(3, 2, 'third');
    history.asksToJoin(3, 'room', 'C').isJoined(3, 'room', 2, false).isReady(3, false);
    history.isTold(1, 'peer_disconnected').isReady(1, true);
    expect(history.broken()).toEqual([]);
  });

  test('a third who takes the seat of one on a paused server is none', () => {
    const history = pairOfTwo().begins('pause', 1, 1).after(4900);
    history.isTold(1, 'peer_disconnected').connect(3, 2, 'third').asksToJoin(3, 'room', 'C');
    history.isJoined(3, 'room', 2, false).isReady(3, false).isReady(1, true);
    history.ends('pause', 1, 1).after(100).isClosed(2, 1013);
    expect(history.broken()).toEqual([]);
  });

  test('one whose server does not close it after that is found', () => {
    const history = pairOfTwo().begins('pause', 1, 1).after(4900);
    history.isTold(1, 'peer_disconnected').connect(3, 2, 'third').asksToJoin(3, 'room', 'C');
    history.isJoined(3, 'room', 2, false).isReady(3, false).isReady(1, true);
    history.ends('pause', 1, 1).after(5100).passes(3, 1);
    expect(history.broken()).toEqual(['a room never has three members']);
  });

  const takenOver = () =>
    pairOfTwo()
      .connect(3, 2, 'acceptor')
      .asksToJoin(3, 'room', 'B')
      .isJoined(3, 'room', 2, false)
      .isReady(3, false)
      .isTold(1, 'peer_disconnected')
      .isReady(1, true);

  test('a take-over whose old connection is closed within the bound breaks nothing', () => {
    expect(takenOver().after(900).isClosed(2, 4001).broken()).toEqual([]);
  });

  test('a ghost that goes on beside its device’s new connection is found', () => {
    expect(takenOver().after(1100).broken()).toEqual([]);
    const history = takenOver().after(1100).isClosed(2, 4001);
    expect(history.broken()).toEqual(['a replaced connection is closed']);
  });

  test('a close as replaced, where nobody asked for the seat, is found', () => {
    const history = pairOfTwo().isClosed(2, 4001);
    expect(history.broken()).toEqual(['no connection is closed without its reason']);
  });

  test('room_full needs two others who may be there', () => {
    expect(threeIn().isTold(3, 'room_full', { roomId: 'room' }).broken()).toEqual([]);
    const left = pairOfTwo()
      .add({ kind: 'asked_leave', conn: 2 })
      .isTold(2, 'left_room', { roomId: 'room' });
    left.isTold(1, 'peer_left').connect(3, 2, 'third').asksToJoin(3, 'room', 'C');
    expect(left.isTold(3, 'room_full', { roomId: 'room' }).broken()).toEqual(['no seat is lost']);
  });

  test('room_full is right while a server that is cut off cannot say that somebody left', () => {
    const left = pairOfTwo().begins('cut', 1, 1).add({ kind: 'asked_leave', conn: 2 });
    left.isTold(2, 'left_room', { roomId: 'room' }).connect(3, 2, 'third');
    left.asksToJoin(3, 'room', 'C').isTold(3, 'room_full', { roomId: 'room' });
    expect(left.broken()).toEqual([]);
  });

  test('room_full is right while nobody can know of a hang-up, and wrong after the bound', () => {
    const tries = (ms: number) =>
      pairOfTwo()
        .begins('kill', 1, 1)
        .isClosed(2, 1006)
        .after(ms)
        .isTold(1, 'peer_disconnected')
        .connect(3, 2, 'third')
        .asksToJoin(3, 'room', 'C')
        .isTold(3, 'room_full', { roomId: 'room' });
    expect(tries(4800).broken()).toEqual([]);
    expect(tries(5100).broken()).toContain('no seat is lost');
  });
});

describe('frames', () => {
  test('one that comes twice is found', () => {
    const history = pairOfTwo();
    const label = history.says(1);
    history.hears(2, label).hears(2, label);
    expect(history.broken()).toEqual(["a sender's order, without duplicates"]);
  });

  test('two in the wrong order are found', () => {
    const history = pairOfTwo();
    const [one, other] = [history.says(1), history.says(1)];
    expect(history.hears(2, other).hears(2, one).broken()).toEqual([
      "a sender's order, without duplicates",
    ]);
  });

  test('one that is lost between two is found, where no fault is near', () => {
    const history = pairOfTwo();
    history.says(1);
    const rule = 'no frame is lost between two that no fault touches';
    expect(history.passes(1, 2).broken()).toEqual([rule]);
    const cut = pairOfTwo().begins('cut', 1, 1).ends('cut', 1, 1);
    cut.says(1);
    expect(cut.passes(1, 2).broken()).toEqual([]);
  });

  test('the first after room_ready is not lost either', () => {
    const history = new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1);
    history.says(1);
    history.passes(1, 2).passes(2, 1);
    expect(history.broken()).toEqual(['no frame is lost between two that no fault touches']);
  });

  test('a lie about its sender, its room or its content is found', () => {
    const history = (told: object) => {
      const scripted = pairOfTwo();
      return scripted.hears(2, scripted.says(1), told).broken();
    };
    expect(history({ from: 'client 2' })).toEqual(['`from` is the sender']);
    expect(history({ roomId: 'another' })).toEqual(['no frame across rooms']);
    expect(pairOfTwo().hears(2, null).broken()).toEqual(['content is forwarded unchanged']);
  });

  test('one that was never sent is found', () => {
    const history = pairOfTwo();
    const label = { ...history.says(1), initiator: false };
    expect(history.hears(2, label).broken()).toEqual(['content is forwarded unchanged']);
  });

  test('one from another room is found', () => {
    const history = pairOfTwo().connect(3, 0, 'third').asksToJoin(3, 'other', 'C');
    history.isJoined(3, 'other', 1, true);
    expect(history.passes(3, 2).broken()).toContain('no frame across rooms');
  });

  test('one that comes without a peer, or after a leave, is found', () => {
    const rule = 'frames come from the present peer';
    const gone = pairOfTwo();
    const late = gone.says(2);
    gone.givesUp(2, 'close').isTold(1, 'peer_disconnected').hears(1, late);
    expect(gone.broken()).toEqual([rule]);
    const left = pairOfTwo();
    const crossing = left.says(2);
    left.add({ kind: 'asked_leave', conn: 1 });
    expect(left.hears(1, crossing).broken()).toEqual([]);
    left.isTold(1, 'left_room', { roomId: 'room' });
    left.hears(1, left.says(2));
    expect(left.broken()).toContain('no frame across rooms');
  });

  test('a zombie’s, among those of the connection that took its seat, is found whatever the faults', () => {
    const history = pairOfTwo().begins('pause', 1, 1).after(4900);
    history.isTold(1, 'peer_disconnected').connect(3, 2, 'acceptor').asksToJoin(3, 'room', 'B');
    history.isJoined(3, 'room', 2, false).isReady(3, false).isReady(1, true).passes(3, 1);
    const late = history.says(2);
    history.ends('pause', 1, 1).hears(1, late).isClosed(2, 4001);
    expect(history.broken()).toEqual(['frames come from the present peer']);
  });
});

describe('peers that go', () => {
  const rule = 'a survivor is told of a dead peer within the bound';

  test('one who hung up is announced at once', () => {
    const gone = (ms: number) => pairOfTwo().givesUp(2, 'close').after(ms);
    expect(gone(900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
    expect(gone(1100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
  });

  test('one on a dead server is announced when its lease is gone', () => {
    const gone = (ms: number) => pairOfTwo().begins('kill', 1, 1).isClosed(2, 1006).after(ms);
    expect(gone(4900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
    expect(gone(5100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
  });

  test('one on a paused server too, though it does not know itself', () => {
    const paused = (ms: number) => pairOfTwo().begins('pause', 1, 1).after(ms);
    expect(paused(4900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
    expect(paused(5100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
    expect(paused(4900).ends('pause', 1, 1).after(60_000).passes(1, 2).broken()).toEqual([]);
  });

  test('one who fell silent is announced when the heartbeat has missed it', () => {
    const faded = (ms: number) => pairOfTwo().givesUp(2, 'fade').after(ms);
    expect(faded(3900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
    expect(faded(4100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
  });

  test('a survivor whose own server is struck is told after that', () => {
    const struck = pairOfTwo()
      .givesUp(2, 'close')
      .begins('cut', 1, 0)
      .after(3000)
      .ends('cut', 1, 0);
    expect(struck.after(5900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
    const late = pairOfTwo().givesUp(2, 'close').begins('cut', 1, 0).after(3000).ends('cut', 1, 0);
    expect(late.after(6100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
  });

  test('one that is there is not announced as gone', () => {
    const wrong = 'nobody is told that a peer is gone who is there';
    expect(pairOfTwo().isTold(1, 'peer_disconnected').broken()).toEqual([wrong]);
    expect(pairOfTwo().isTold(1, 'peer_left').broken()).toEqual([wrong]);
    const restart = pairOfTwo().begins('redis-restart', 1, null).isTold(1, 'peer_disconnected');
    expect(restart.broken()).toEqual([]);
  });

  test('one that was never there is not, and another one does not come unannounced', () => {
    const alone = new Scripted().comes(1, 'A', 0).isTold(1, 'peer_left');
    expect(alone.broken()).toEqual(['told only of a peer that was there']);
    expect(pairOfTwo().isReady(1, true).broken()).toEqual(['a peer that goes is announced']);
    const again = pairOfTwo().asksToJoin(1, 'room', 'A').isJoined(1, 'room', 2, true);
    expect(again.isReady(1, true).broken()).toEqual([]);
  });

  test('an error that contradicts what was told is found', () => {
    const told = pairOfTwo().isTold(1, 'error', { code: 'no_peer' });
    expect(told.broken()).toEqual(['a peer that goes is announced']);
    const crossed = pairOfTwo().givesUp(2, 'close').isTold(1, 'peer_disconnected');
    expect(crossed.isTold(1, 'error', { code: 'no_peer' }).broken()).toEqual([]);
  });
});

describe('service', () => {
  test('unavailable, 503 and closes need a fault that is near', () => {
    const rule = 'available where no fault is near';
    const refused = () => new Scripted().connect(1).asksToJoin(1, 'room', 'A');
    expect(refused().isTold(1, 'error', { code: 'unavailable' }).broken()).toEqual([rule]);
    const cut = refused().begins('cut', 1, 0).isTold(1, 'error', { code: 'unavailable' });
    expect(cut.broken()).toEqual([]);
    const rest = new Scripted();
    expect(rest.isAnswered(rest.asks('create', 'A'), 503).broken()).toEqual([rule]);
    const late = new Scripted();
    expect(late.isAnswered(late.asks('create', 'A'), 408).broken()).toEqual([rule]);
    const closed = new Scripted().connect(1).isClosed(1, 1006);
    expect(closed.broken()).toEqual(['no connection is closed without its reason']);
    const bug = new Scripted().connect(1).begins('cut', 1, 0).isClosed(1, 1011);
    expect(bug.broken()).toEqual(['no connection is closed without its reason']);
  });

  test('every pair talks both ways within the bound after the last fault', () => {
    const rule = 'everything is usable again after the last fault';
    const healed = () => pairOfTwo().add({ kind: 'healed', pairs: 1 });
    expect(healed().passes(1, 2).after(9000).passes(2, 1).broken()).toEqual([]);
    expect(healed().passes(1, 2).after(10_000).passes(2, 1).broken()).toEqual([rule]);
    expect(healed().passes(1, 2).broken()).toEqual([rule]);
    // Sent before the fault was over: that it came proves nothing.
    const early = pairOfTwo();
    const label = early.says(2);
    early.add({ kind: 'healed', pairs: 1 }).passes(1, 2).hears(1, label);
    expect(early.broken()).toEqual([rule]);
    expect(check(healed().passes(1, 2).passes(2, 1).events, BOUNDS).recoveriesMs[0]).toBe(4);
  });

  test('a server that ends by itself, and a log that tells, are found', () => {
    const history = new Scripted()
      .add({ kind: 'died', node: 1, how: '1' })
      .add({ kind: 'leaked', node: 1, line: 'room …' });
    expect(history.broken()).toEqual([
      'no server ends by itself',
      'nothing of a pairing is logged',
    ]);
  });
});

test('a violation is shown with the events of those concerned and the faults around it, and no others', () => {
  const history = pairOfTwo().connect(9, 0, 'third').begins('cut', 1, 0);
  history.passes(1, 2);
  history.events.push({ ...(history.events.at(-1) as (typeof history.events)[number]) });
  const [violation] = check(history.events, BOUNDS).violations;
  const shown = explain(history.events, violation as NonNullable<typeof violation>);
  expect(shown).toContain("a sender's order, without duplicates");
  expect(shown).toContain('"n":2');
  expect(shown).toContain('fault');
  expect(shown).not.toContain('client 9');
});
