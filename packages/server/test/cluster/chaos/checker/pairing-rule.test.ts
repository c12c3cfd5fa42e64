// Handmade histories of pairing: each answer that no order of events explains is found, and no other.
import { expect, test } from 'vitest';
import { Scripted } from './scripted.js';

/** A code that device A has made. */
function created() {
  const history = new Scripted();
  history.isAnswered(history.asks('create', 'A'), 201, { ok: true });
  return history;
}

/** The same, which B has accepted. */
function accepted() {
  const history = created();
  history.isAnswered(history.asks('accept', 'B'), 200, { roomid: 'r' });
  return history;
}

test('a correct pairing with lost answers, repeats and outages is no violation', () => {
  const history = created();
  const accept = history.asks('accept', 'B');
  history.add({ kind: 'lost', op: accept }).begins('redis-restart', 1, null);
  history.asks('accept', 'B', 1, accept);
  history.isAnswered(accept, 503);
  history.asks('accept', 'B', 1, accept);
  history.isAnswered(accept, 409, { error: 'request_in_progress' });
  history.asks('accept', 'B', 2, accept);
  history.isAnswered(accept, 200, { roomid: 'r' }).isAnswered(accept, 200, { roomid: 'r' });
  history.isAnswered(history.asks('check', 'A'), 200, { roomid: 'r' });
  history.isAnswered(history.asks('get', 'A'), 200, { roomid: 'r', client1: 'A', client2: 'B' });
  expect(history.broken()).toEqual([]);
});

test('a code that two devices got is found', () => {
  const history = accepted();
  history.isAnswered(history.asks('accept', 'C'), 200, { roomid: 'r' });
  expect(history.broken()).toEqual(['a code is accepted by at most one device']);
});

test('two rooms of one code are found', () => {
  const history = accepted();
  history.isAnswered(history.asks('check', 'A'), 200, { roomid: 'another' });
  expect(history.broken()).toEqual(['one code, one room']);
});

test('a repeat with a different answer is found', () => {
  const history = created();
  const op = history.asks('check', 'A');
  history.isAnswered(op, 204);
  history.asks('check', 'A', 1, op);
  history.isAnswered(op, 200, { roomid: 'r' });
  expect(history.broken()).toEqual(['a repeat gets the first answer again']);
});

test('a room is gone when the purge of one of its devices was answered, and stays so', () => {
  const purged = () => {
    const history = accepted();
    const purge = history.asks('purge', 'B');
    const meanwhile = history.asks('get', 'A');
    history.isAnswered(purge, 200, { roomsDeleted: 1 });
    return history.isAnswered(meanwhile, 200, { roomid: 'r', client1: 'A', client2: 'B' });
  };
  const gone = purged();
  gone.isAnswered(gone.asks('get', 'A'), 404, { error: 'not_found' });
  expect(gone.broken()).toEqual([]);
  const back = purged();
  back.isAnswered(back.asks('get', 'A'), 200, { roomid: 'r', client1: 'A', client2: 'B' });
  expect(back.broken()).toEqual(['what was purged is gone, and stays so']);
});

test('404 to a check is found, always', () => {
  const history = accepted().begins('failover', 1, null);
  history.isAnswered(history.asks('check', 'A'), 404, { error: 'not_found_or_expired' });
  expect(history.broken()).toEqual(['no 404 to a live pairing']);
});

test('404 to a get is found, always', () => {
  const history = accepted();
  history.isAnswered(history.asks('get', 'A'), 404, { error: 'not_found' });
  expect(history.broken()).toEqual(['no 404 to a live pairing']);
});

test('an accept conflicts only with another accept, and is 404 only after the other was collected', () => {
  const answers = (status: number, rivalled: boolean, checked: boolean) => {
    const history = created();
    if (rivalled) history.asks('accept', 'C');
    if (checked) history.asks('check', 'A');
    return history.isAnswered(history.asks('accept', 'B'), status, { error: '…' }).broken();
  };
  expect(answers(409, true, false)).toEqual([]);
  expect(answers(404, true, true)).toEqual([]);
  expect(answers(409, false, true)).toEqual(['REST answers as documented']);
  expect(answers(404, true, false)).toEqual(['no 404 to a live pairing']);
  expect(answers(404, false, true)).toEqual(['no 404 to a live pairing']);
});

test.each([429, 500, 422, 400])('%i is found', (status) => {
  const history = new Scripted();
  history.isAnswered(history.asks('create', 'A'), status, { error: '…' });
  expect(history.broken()).toEqual(['REST answers as documented']);
});

test('a check after the answer to the accept is never told to wait', () => {
  const history = accepted();
  history.isAnswered(history.asks('check', 'A'), 204);
  expect(history.broken()).toEqual(['an answer that was sent is durable']);
});

test('a held check is woken within the bound without a recent fault', () => {
  const held = (ms: number) => {
    const history = created();
    const check = history.asks('check', 'A', 1);
    history.isAnswered(history.asks('accept', 'B'), 200, { roomid: 'r' });
    return history.after(ms).isAnswered(check, 200, { roomid: 'r' });
  };
  expect(held(900).broken()).toEqual([]);
  expect(held(1100).broken()).toEqual(['a held check is woken']);
  const cut = created().begins('cut', 1, 1);
  const check = cut.asks('check', 'A', 1);
  cut.isAnswered(cut.asks('accept', 'B'), 200, { roomid: 'r' });
  expect(cut.after(5000).isAnswered(check, 200, { roomid: 'r' }).broken()).toEqual([]);
});

test('a room with other devices than those that paired it is found', () => {
  const history = accepted();
  history.isAnswered(history.asks('get', 'A'), 200, { roomid: 'r', client1: 'A', client2: 'C' });
  expect(history.broken()).toEqual(['a room has its two devices']);
});

test('nothing is expected of lost pairings, and everything of later ones', () => {
  const lost = (history: Scripted) =>
    history.begins('redis-flush', 1, null).ends('redis-flush', 1, null);
  const before = accepted();
  const check = lost(before).asks('check', 'A');
  expect(before.isAnswered(check, 404).broken()).toEqual([]);
  const between = accepted();
  const held = between.asks('check', 'A');
  expect(lost(between).isAnswered(held, 404).broken()).toEqual([]);
  const after = lost(new Scripted());
  after.isAnswered(after.asks('create', 'A'), 201, { ok: true });
  after.isAnswered(after.asks('accept', 'B'), 404);
  expect(after.broken()).toEqual(['no 404 to a live pairing']);
});
