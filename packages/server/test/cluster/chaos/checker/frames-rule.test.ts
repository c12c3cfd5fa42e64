// Histories of frames made by hand: each that is lost, doubled, out of order or out of place is found.
import { expect, test } from 'vitest';
import { pairOfTwo, Scripted } from './scripted.js';

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
