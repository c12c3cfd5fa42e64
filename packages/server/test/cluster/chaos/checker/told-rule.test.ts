// Handmade histories of peers that leave: late, wrong and missing messages are found.
import { expect, test } from 'vitest';
import { pairOfTwo, Scripted } from './scripted.js';

const rule = 'a survivor is told of a dead peer within the bound';

test('the hang-up of a peer is told at once', () => {
  const gone = (ms: number) => pairOfTwo().givesUp(2, 'close').after(ms);
  expect(gone(900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
  expect(gone(1100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
});

test('a peer on a dead server is reported gone when the lease has expired', () => {
  const gone = (ms: number) => pairOfTwo().begins('kill', 1, 1).isClosed(2, 1006).after(ms);
  expect(gone(4900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
  expect(gone(5100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
});

test('a peer on a paused server is reported gone when the lease has expired', () => {
  const paused = (ms: number) => pairOfTwo().begins('pause', 1, 1).after(ms);
  expect(paused(4900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
  expect(paused(5100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
  expect(paused(4900).ends('pause', 1, 1).after(60_000).passes(1, 2).broken()).toEqual([]);
});

test('a peer on a server that is only busy need not be reported gone', () => {
  expect(pairOfTwo().begins('burst', 1, 1).after(60_000).passes(1, 2).broken()).toEqual([]);
});

test('a silent peer is reported gone after the heartbeat', () => {
  const faded = (ms: number) => pairOfTwo().givesUp(2, 'fade').after(ms);
  expect(faded(3900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
  expect(faded(4100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
});

test('a survivor with a fault of its own server is told after the fault', () => {
  const struck = pairOfTwo().givesUp(2, 'close').begins('cut', 1, 0).after(3000).ends('cut', 1, 0);
  expect(struck.after(5900).isTold(1, 'peer_disconnected').broken()).toEqual([]);
  const late = pairOfTwo().givesUp(2, 'close').begins('cut', 1, 0).after(3000).ends('cut', 1, 0);
  expect(late.after(6100).isTold(1, 'peer_disconnected').broken()).toEqual([rule]);
});

test('a report about a present peer is found', () => {
  const wrong = 'nobody is told that a peer is gone who is there';
  expect(pairOfTwo().isTold(1, 'peer_disconnected').broken()).toEqual([wrong]);
  expect(pairOfTwo().isTold(1, 'peer_left').broken()).toEqual([wrong]);
  const restart = pairOfTwo().begins('redis-restart', 1, null).isTold(1, 'peer_disconnected');
  expect(restart.broken()).toEqual([]);
});

test('a report about a peer that never joined, and a peer without an announcement, are found', () => {
  const alone = new Scripted().comes(1, 'A', 0).isTold(1, 'peer_left');
  expect(alone.broken()).toEqual(['told only of a peer that was there']);
  expect(pairOfTwo().isReady(1, true).broken()).toEqual(['a peer that goes is announced']);
  const again = pairOfTwo().asksToJoin(1, 'room', 'A').isJoined(1, 'room', 2, true);
  expect(again.isReady(1, true).broken()).toEqual([]);
});

test('an error that contradicts earlier messages is found', () => {
  const told = pairOfTwo().isTold(1, 'error', { code: 'no_peer' });
  expect(told.broken()).toEqual(['a peer that goes is announced']);
  const crossed = pairOfTwo().givesUp(2, 'close').isTold(1, 'peer_disconnected');
  expect(crossed.isTold(1, 'error', { code: 'no_peer' }).broken()).toEqual([]);
});
