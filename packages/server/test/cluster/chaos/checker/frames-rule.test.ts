// Handmade histories of frames: each lost, duplicate, reordered or misdirected frame is found.
import { expect, test } from 'vitest';
import { pairOfTwo, Scripted } from './scripted.js';

test('a duplicate frame is found', () => {
  const history = pairOfTwo();
  const label = history.says(1);
  history.hears(2, label).hears(2, label);
  expect(history.broken()).toEqual(["a sender's order, without duplicates"]);
});

test('two frames in the wrong order are found', () => {
  const history = pairOfTwo();
  const [one, other] = [history.says(1), history.says(1)];
  expect(history.hears(2, other).hears(2, one).broken()).toEqual([
    "a sender's order, without duplicates",
  ]);
});

const untold = ['a frame is delivered, or both members are told'];

test('a lost frame between two others is found, even during faults', () => {
  const lose = (history: Scripted) => {
    history.says(1);
    return history.passes(1, 2);
  };
  expect(lose(pairOfTwo()).broken()).toEqual(untold);
  expect(lose(pairOfTwo().begins('cut', 1, 1)).broken()).toEqual(untold);
  expect(lose(pairOfTwo().begins('redis-restart', 1, null)).broken()).toEqual(untold);
});

test('a lost first frame after room_ready is found', () => {
  const history = new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1);
  history.says(1);
  history.passes(1, 2).passes(2, 1);
  expect(history.broken()).toEqual(untold);
});

test('a loss that both members are told of is no violation', () => {
  const history = pairOfTwo().begins('redis-restart', 1, null);
  history.says(1);
  for (const conn of [1, 2]) history.isTold(conn, 'peer_disconnected').isReady(conn, conn === 1);
  expect(history.passes(1, 2).passes(2, 1).broken()).toEqual([]);
});

test('a loss that only one member is told of is found', () => {
  const fault = () => pairOfTwo().begins('redis-restart', 1, null).ends('redis-restart', 1, null);
  const sender = fault();
  sender.says(1);
  sender.isTold(1, 'peer_disconnected').isReady(1, true);
  expect(sender.passes(1, 2).passes(2, 1).broken()).toEqual(untold);
  const receiver = fault();
  receiver.says(1);
  receiver.isTold(2, 'peer_disconnected').isReady(2, false);
  expect(receiver.passes(2, 1).after(20_000).passes(2, 1).broken()).toEqual(untold);
});

test('the loss of a last frame is told within the bound after the last fault', () => {
  const silence = (ms: number) => {
    const history = pairOfTwo().begins('cut', 1, 1);
    history.says(1);
    return history.after(3000).ends('cut', 1, 1).after(ms).passes(2, 1);
  };
  expect(silence(5900).broken()).toEqual([]);
  expect(silence(6100).broken()).toEqual(untold);
});

test('the sender is told, although nothing shows who its peer was', () => {
  const history = (ms: number) => {
    const alone = new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1).givesUp(2, 'fade');
    alone.says(1);
    return alone.after(ms).isTold(1, 'peer_disconnected');
  };
  expect(history(4900).broken()).toEqual([]);
  expect(history(5100).broken()).toEqual(untold);
});

test('a lost frame is no violation if its receiver or sender ends by itself', () => {
  const history = pairOfTwo();
  history.says(1);
  history.givesUp(2, 'terminate').isTold(1, 'peer_disconnected');
  expect(history.after(20_000).broken()).toEqual([]);
});

test('a lost frame is no violation if its receiver joined again before it left', () => {
  const history = pairOfTwo().asksToJoin(2, 'room', 'B').isJoined(2, 'room', 2, false);
  history.isReady(2, false).givesUp(2, 'fade');
  history.says(1);
  expect(history.after(3900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
});

test('a wrong sender, room or content is found', () => {
  const history = (told: object) => {
    const scripted = pairOfTwo();
    return scripted.hears(2, scripted.says(1), told).broken();
  };
  expect(history({ from: 'client 2' })).toEqual(['`from` is the sender']);
  expect(history({ roomId: 'another' })).toEqual(['no frame across rooms']);
  expect(pairOfTwo().hears(2, null).broken()).toEqual(['content is forwarded unchanged']);
});

test('a frame that was never sent is found', () => {
  const history = pairOfTwo();
  const label = { ...history.says(1), initiator: false };
  expect(history.hears(2, label).broken()).toEqual(['content is forwarded unchanged']);
});

test('a frame from another room is found', () => {
  const history = pairOfTwo().connect(3, 0, 'third').asksToJoin(3, 'other', 'C');
  history.isJoined(3, 'other', 1, true);
  expect(history.passes(3, 2).broken()).toContain('no frame across rooms');
});

test('a frame without a peer, or after a leave, is found', () => {
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

test('a frame of a replaced connection among those of its successor is found, even during faults', () => {
  const history = pairOfTwo().begins('pause', 1, 1).after(4900);
  history.isTold(1, 'peer_disconnected').connect(3, 2, 'acceptor').asksToJoin(3, 'room', 'B');
  history.isJoined(3, 'room', 2, false).isReady(3, false).isReady(1, true).passes(3, 1);
  const late = history.says(2);
  history.ends('pause', 1, 1).hears(1, late).isClosed(2, 4001);
  expect(history.broken()).toEqual(['frames come from the present peer']);
});
