// Histories of seats made by hand: a third member, a ghost and a lost seat are found, and nothing else is.
import { expect, test } from 'vitest';
import { pairOfTwo, Scripted } from './scripted.js';

const threeIn = () => pairOfTwo().connect(3, 2, 'third').asksToJoin(3, 'room', 'C');

test('a third who is told room_joined while two sit there is found', () => {
  const history = threeIn().isJoined(3, 'room', 2, false);
  expect(history.broken()).toEqual(['a room never has three members']);
});

test('three in a room by its own count are found', () => {
  const history = new Scripted().connect(1).asksToJoin(1, 'room', 'A').isJoined(1, 'room', 3, true);
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
