// A history without a violation, and events after it that break one invariant each, or are excused by a fault.
import { expect, test } from 'vitest';
import type { Body, Event, FaultKind, Happening, Label, Operation, Part } from '../history.js';
import { check } from './check.js';

const BOUNDS = { settleMs: 1000, silentMs: 4000, recoveryMs: 5000, usableMs: 10_000 };

/** An event, and the time since the one before. */
type Step = Happening & { afterMs?: number };

const rest = (
  id: number,
  what: Operation,
  device: string,
  status: number,
  body?: Body,
  code = '123456',
): Happening[] => [
  { kind: 'asked', id, what, code, device, node: 0 },
  { kind: 'answered', id, status, body },
];
const told = (id: number, type: string, more = {}): Happening => ({
  kind: 'told',
  id,
  notice: { type, roomId: 'room', ...more },
});
const ready = (id: number, isInitiator: boolean) => told(id, 'room_ready', { isInitiator });
const enter = (id: number, part: Part, device: string, answer = 'room_joined'): Happening[] => [
  { kind: 'connected', id, clientId: `client${id}`, node: id, pair: 0, part },
  { kind: 'asked_join', id, room: 'room', device },
  told(id, answer),
];
/** Message `n` of a connection, of its `room_ready` number `times`. */
const label = (id: number, n: number, times = 1): Label => {
  const part = (['creator', 'acceptor', 'third'] as const)[id] as Part;
  return { id, part, n, at: 1000, ready: times, room: 'room' };
};
const sends = (of: Label): Happening => ({ kind: 'sent', ...of });
const gets = (id: number, of: Label | null, from = `client${of?.id}`, roomId = 'room'): Step => ({
  kind: 'frame',
  id,
  from,
  roomId,
  label: of,
});
/** Both send a message and get that of the other. */
const talk = (n: number, times = 1) =>
  [0, 1].flatMap((id) => [sends(label(id, n, times)), gets(1 - id, label(id, n, times))]);
const begin = (what: FaultKind, node: number | null = null): Happening => ({
  kind: 'fault',
  fault: 1,
  what,
  node,
  phase: 'begin',
});
const END: Happening = { kind: 'fault', fault: 1, what: 'cut', node: null, phase: 'end' };

const ROOM = { roomid: 'room', client1: 'A', client2: 'B' };
const RECOVERY: Happening = { kind: 'recovery', pairs: 1 };
const HISTORY: readonly Step[] = [
  ...rest(10, 'create', 'A', 201),
  ...rest(11, 'accept', 'B', 200, { roomid: 'room' }),
  ...rest(12, 'check', 'A', 200, { roomid: 'room' }),
  ...rest(13, 'get', 'A', 200, ROOM),
  ...enter(0, 'creator', 'A'),
  ...enter(1, 'acceptor', 'B'),
  ready(1, false),
  ready(0, true),
  RECOVERY,
  ...talk(1),
  ...enter(2, 'third', 'C', 'room_full'),
  ...talk(2),
];

function timed(more: readonly Step[]): Event[] {
  let t = 0;
  return [...HISTORY, ...more].map(({ afterMs = 0, ...happening }) => {
    t += 1 + afterMs;
    return { t, ...(happening as Happening) };
  });
}

const gone = told(0, 'peer_disconnected');
const lost = sends(label(0, 3));
const next = [sends(label(0, 4)), gets(1, label(0, 4))];
const restart = [begin('redis-restart'), END];
const later: Step = { ...begin('redis-flush'), afterMs: 20_000 };
const DELIVERED = 'a frame is delivered, or both members are told';
const ONE_INITIATOR = 'exactly one initiator in each room_ready';
const CREATOR_INITIATES = 'the device that made the code is the initiator';

test.each<[rule: string, ...more: Step[]]>([
  [
    '',
    ...rest(14, 'accept', 'B', 409),
    ...rest(15, 'purge', 'A', 200),
    ...rest(16, 'get', 'A', 404),
  ],
  ['a code is accepted by at most one device', ...rest(14, 'accept', 'C', 200, { roomid: 'room' })],
  ['one code, one room', ...rest(14, 'check', 'A', 200, { roomid: 'another' })],
  ['a room for one code alone', ...rest(14, 'accept', 'C', 200, { roomid: 'room' }, '654321')],
  ['a repeat gets the first answer again', ...rest(10, 'create', 'A', 201, { error: 'x' })],
  ['no 404 for a live pairing', ...rest(14, 'get', 'A', 404)],
  ['REST answers as documented', ...rest(14, 'check', 'A', 422)],
  ['an answer that was sent is durable', ...rest(14, 'check', 'A', 204)],
  ['a room has its two devices', ...rest(14, 'get', 'A', 200, { ...ROOM, client2: 'C' })],
  [
    'what was purged is gone, and stays so',
    ...rest(14, 'purge', 'A', 200),
    ...rest(15, 'get', 'A', 200, ROOM),
  ],
  ['', begin('redis-flush'), ...rest(14, 'get', 'A', 404)],
  ['available unless a fault is near', ...rest(14, 'check', 'A', 503)],
  ['available unless a fault is near', told(0, 'error', { code: 'unavailable' })],
  ['', begin('cut', 0), ...rest(14, 'check', 'A', 503), told(0, 'error', { code: 'unavailable' })],
  ['no error for a valid message', told(0, 'error', { code: 'invalid_message' })],
  ['no connection is closed without its reason', { kind: 'closed', id: 0, code: 1006 }],
  ['', begin('kill', 0), { kind: 'closed', id: 0, code: 1006 }],
  ['no server ends by itself', { kind: 'died', node: 0, how: '1' }],
  ['nothing of a pairing is logged', { kind: 'leaked', node: 0, line: 'room' }],
  ['everything is usable again after the last fault', RECOVERY, ...talk(3).slice(0, 2)],
  ['a room never has three members', told(2, 'room_joined')],
  ['no member is told that a present peer is gone', gone, later],
  ['', { kind: 'gave_up', id: 1, how: 'close' }, gone, later],
  ['', begin('cut', 1), gone, later],
  [CREATOR_INITIATES, ready(0, false), ready(1, true), ...talk(3, 2)],
  [`${ONE_INITIATOR}, ${CREATOR_INITIATES}`, ready(0, false), ready(1, false), ...talk(3, 2)],
  ['content is forwarded unchanged', gets(1, null)],
  ['content is forwarded unchanged', lost, gets(1, { ...label(0, 3), at: 999 })],
  ['`from` is the sender', lost, gets(1, label(0, 3), 'somebody')],
  ['no frame across rooms', lost, gets(1, label(0, 3), 'client0', 'another')],
  ["a sender's order, without duplicates", gets(1, label(0, 2))],
  ['frames come from the present peer', sends(label(2, 1)), gets(1, label(2, 1))],
  ['frames come from the present peer, no frame across rooms', lost, gets(2, label(0, 3))],
  [DELIVERED, { kind: 'gave_up', id: 1, how: 'fade' }, lost, later],
  [DELIVERED, lost, ...next],
  [DELIVERED, begin('redis-restart'), lost, ...next],
  [DELIVERED, lost, later],
  ['', lost, ...restart, gone, told(1, 'peer_disconnected'), later],
  [DELIVERED, lost, ...restart, gone, later],
  [DELIVERED, lost, ...restart, told(1, 'peer_disconnected'), later],
])('%s', (rule, ...more) => {
  const rules = check(timed(more), BOUNDS).violations.map((violation) => violation.rule);
  expect([...new Set(rules)].sort().join(', ')).toBe(rule);
});
