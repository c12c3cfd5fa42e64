// Handmade histories of seats: only a third member, an old connection and a lost seat are found.
import { expect, test } from 'vitest';
import { pairOfTwo, Scripted } from './scripted.js';

const threeIn = () => pairOfTwo().connect(3, 2, 'third').asksToJoin(3, 'room', 'C');

test('a third member that gets room_joined beside two others is found', () => {
  const history = threeIn().isJoined(3, 'room', 2, false);
  expect(history.broken()).toEqual(['a room never has three members']);
});

test('a userCount of three is found', () => {
  const history = new Scripted().connect(1).asksToJoin(1, 'room', 'A').isJoined(1, 'room', 3, true);
  expect(history.broken()).toEqual(['a room never has three members']);
});

test('a third device that joins after a hang-up is no violation', () => {
  const history = pairOfTwo().givesUp(2, 'terminate').connect(3, 2, 'third');
  history.asksToJoin(3, 'room', 'C').isJoined(3, 'room', 2, false).isReady(3, false);
  history.isTold(1, 'peer_disconnected').isReady(1, true);
  expect(history.broken()).toEqual([]);
});

test('a third device that takes the seat of a member on a paused server is no violation', () => {
  const history = pairOfTwo().begins('pause', 1, 1).after(4900);
  history.isTold(1, 'peer_disconnected').connect(3, 2, 'third').asksToJoin(3, 'room', 'C');
  history.isJoined(3, 'room', 2, false).isReady(3, false).isReady(1, true);
  history.ends('pause', 1, 1).after(100).isClosed(2, 1013);
  expect(history.broken()).toEqual([]);
});

test('a replaced member that its server does not close afterwards is found', () => {
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

test('a take-over whose old connection is closed within the bound is no violation', () => {
  expect(takenOver().after(900).isClosed(2, 4001).broken()).toEqual([]);
});

test('an old connection that stays beside its device’s new one is found', () => {
  expect(takenOver().after(1100).broken()).toEqual([]);
  const history = takenOver().after(1100).isClosed(2, 4001);
  expect(history.broken()).toEqual(['a replaced connection is closed']);
});

test('a close as replaced without a request for the seat is found', () => {
  const history = pairOfTwo().isClosed(2, 4001);
  expect(history.broken()).toEqual(['no connection is closed without its reason']);
});

test('room_full needs two other possible members', () => {
  expect(threeIn().isTold(3, 'room_full', { roomId: 'room' }).broken()).toEqual([]);
  const left = pairOfTwo()
    .add({ kind: 'asked_leave', conn: 2 })
    .isTold(2, 'left_room', { roomId: 'room' });
  left.isTold(1, 'peer_left').connect(3, 2, 'third').asksToJoin(3, 'room', 'C');
  expect(left.isTold(3, 'room_full', { roomId: 'room' }).broken()).toEqual(['no seat is lost']);
});

test('room_full is correct while a partitioned server cannot report a departure', () => {
  const left = pairOfTwo().begins('cut', 1, 1).add({ kind: 'asked_leave', conn: 2 });
  left.isTold(2, 'left_room', { roomId: 'room' }).connect(3, 2, 'third');
  left.asksToJoin(3, 'room', 'C').isTold(3, 'room_full', { roomId: 'room' });
  expect(left.broken()).toEqual([]);
});

test('room_full is correct until a hang-up must be detected, and wrong afterwards', () => {
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
