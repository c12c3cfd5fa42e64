// Handmade histories: each violation of an invariant is found, and no other event is reported.
import { describe, expect, test } from 'vitest';
import { check } from './check.js';
import { BOUNDS, pairOfTwo, Scripted } from './scripted.js';
import { explain } from './violation.js';

describe('roles', () => {
  test('two peers, one of them the initiator, are no violation', () => {
    expect(pairOfTwo().broken()).toEqual([]);
  });

  test('two initiators of one membership are found', () => {
    const history = new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1);
    history.isReady(2, true);
    history.passes(1, 2).passes(2, 1);
    expect(history.broken()).toContain('exactly one initiator in each room_ready');
  });

  test('two peers that both wait for an offer are found', () => {
    const history = new Scripted().comes(1, 'A', 0, false).connect(2, 1, 'acceptor');
    history.asksToJoin(2, 'room', 'B').isJoined(2, 'room', 2, false);
    history.isReady(2, false).isReady(1, false).passes(1, 2).passes(2, 1);
    expect(history.broken()).toEqual(['exactly one initiator in each room_ready']);
  });

  test('a frame that crossed the update of another peer makes no membership', () => {
    const history = new Scripted().comes(2, 'B', 0).meets(1, 'A', 0, 2).passes(1, 2).passes(2, 1);
    // 1, not the initiator, sends while 2 leaves and 3 joins: 3 is not the initiator either, and 1 becomes it.
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

  test('roles of a pairing that Redis has lost follow the order of arrival', () => {
    const history = new Scripted();
    history.isAnswered(history.asks('create', 'A'), 201);
    history.isAnswered(history.asks('accept', 'B'), 200, { roomid: 'room' });
    history.begins('redis-flush', 1, null).ends('redis-flush', 1, null);
    history.comes(1, 'B', 0, true, 'acceptor');
    expect(history.broken()).toEqual([]);
  });
});

describe('service', () => {
  test('unavailable, 503 and closes need a recent fault', () => {
    const rule = 'available where no fault is near';
    const refused = () => new Scripted().connect(1).asksToJoin(1, 'room', 'A');
    expect(refused().isTold(1, 'error', { code: 'unavailable' }).broken()).toEqual([rule]);
    const cut = refused().begins('cut', 1, 0).isTold(1, 'error', { code: 'unavailable' });
    expect(cut.broken()).toEqual([]);
    const rest = new Scripted();
    expect(rest.isAnswered(rest.asks('create', 'A'), 503).broken()).toEqual([rule]);
    const late = new Scripted();
    const op = late.asks('create', 'A');
    expect(late.after(1000).isAnswered(op, 408).broken()).toEqual([rule]);
    const unused = new Scripted();
    expect(unused.isAnswered(unused.asks('create', 'A'), 408).broken()).toEqual([]);
    const closed = new Scripted().connect(1).isClosed(1, 1006);
    expect(closed.broken()).toEqual(['no connection is closed without its reason']);
    const bug = new Scripted().connect(1).begins('cut', 1, 0).isClosed(1, 1011);
    expect(bug.broken()).toEqual(['no connection is closed without its reason']);
  });

  test('every pair exchanges messages both ways within the bound after the last fault', () => {
    const rule = 'everything is usable again after the last fault';
    const healed = () => pairOfTwo().add({ kind: 'healed', pairs: 1 });
    expect(healed().passes(1, 2).after(9000).passes(2, 1).broken()).toEqual([]);
    expect(healed().passes(1, 2).after(10_000).passes(2, 1).broken()).toEqual([rule]);
    expect(healed().passes(1, 2).broken()).toEqual([rule]);
    const stalled = () =>
      healed().passes(1, 2).begins('stall', 1, null).after(5000).ends('stall', 1, null);
    expect(stalled().after(9000).passes(2, 1).broken()).toEqual([]);
    expect(stalled().after(10_000).passes(2, 1).broken()).toEqual([rule]);
    // Sent before the end of the fault, so its arrival proves nothing.
    const early = pairOfTwo();
    const label = early.says(2);
    early.add({ kind: 'healed', pairs: 1 }).passes(1, 2).hears(1, label);
    expect(early.broken()).toEqual([rule]);
    expect(check(healed().passes(1, 2).passes(2, 1).events, BOUNDS).recoveriesMs[0]).toBe(4);
  });

  test('a full Redis refuses only new data', () => {
    const rule = 'available where no fault is near';
    const full = () => pairOfTwo().begins('redis-full', 1, null);
    const asks = (what: 'create' | 'accept' | 'check') => {
      const history = full();
      return history.isAnswered(history.asks(what, 'A'), 503).broken();
    };
    expect([asks('create'), asks('accept'), asks('check')]).toEqual([[], [], [rule]]);
    const joins = (room: string) =>
      full().connect(3).asksToJoin(3, room, 'B').isTold(3, 'error', { code: 'unavailable' });
    expect(joins('another').broken()).toEqual([]);
    expect(joins('room').broken()).toEqual([rule]);
    expect(full().isTold(1, 'peer_disconnected').broken()).toEqual([
      'nobody is told that a peer is gone who is there',
    ]);
  });

  test('in a crowd of joins, those beyond the bound are refused', () => {
    const history = new Scripted().connect(1, 0, 'crowd').asksToJoin(1, 'room', 'A');
    expect(history.isTold(1, 'error', { code: 'unavailable' }).broken()).toEqual([]);
    expect(history.isClosed(1, 1011).broken()).toEqual([
      'no connection is closed without its reason',
    ]);
  });

  test('a server that ends by itself, and a log with identifying data, are found', () => {
    const history = new Scripted()
      .add({ kind: 'died', node: 1, how: '1' })
      .add({ kind: 'leaked', node: 1, line: 'room …' });
    expect(history.broken()).toEqual([
      'no server ends by itself',
      'nothing of a pairing is logged',
    ]);
  });
});

test('a violation is shown only with the events of its connections and the faults around it', () => {
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
