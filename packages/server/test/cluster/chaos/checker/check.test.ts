// Scripted histories: the checker finds each violation of an invariant, and reports no other event.
import { rowsOf, stepsOf } from '@couplet/testkit/stories';
import { describe, expect, test } from 'vitest';
import { ROUNDS_OF_ALL, ROUNDS_OF_ALL_REDIS, schedule } from '../faults.js';
import {
  type Event,
  type FaultKind,
  type GivingUp,
  type Happening,
  type Label,
  NODE_FAULTS,
  type Operation,
  REDIS_FAULTS,
} from '../history.js';
import { check, explain } from './check.js';

/** Round numbers, so that a history can be just within or just beyond a bound. */
const BOUNDS = {
  settleMs: 1000,
  goneMs: 5000,
  silentMs: 4000,
  recoveryMs: 5000,
  usableMs: 10_000,
};

/** Connection → its device, its part, and the server that it is at. Initiator is 1, unless a step says otherwise. */
const CONNS = {
  1: { device: 'A', part: 'creator', node: 0 },
  2: { device: 'B', part: 'acceptor', node: 1 },
  3: { device: 'C', part: 'third', node: 2 },
  /** Of the same device as 2. */
  4: { device: 'B', part: 'acceptor', node: 2 },
  5: { device: 'D', part: 'crowd', node: 0 },
} as const;

/** Names for several steps. */
const STEPS: Record<string, string> = {
  alone: '1 connects; 1 asks; 1 joined 1',
  met: 'alone; 2 connects; 2 asks; 2 joined 2; 2 ready; 1 ready',
  /** The two have exchanged messages. */
  pair: 'met; 1>2; 2>1',
  third: '3 connects; 3 asks',
  full: 'third; 3 told room_full',
  'seat on paused':
    'pair; begin pause 1; wait 4900; 1 loses its peer; third; 3 joined 2; 3 ready; 1 ready',
  'acceptor initiates': '2 connects; 2 asks; 2 joined 1 initiator',
  'another room refused': '4 connects; 4 asks another; 4 error unavailable',
  '1 loses its peer': '1 told peer_disconnected',
  'lost after restart': 'pair; begin redis-restart; end redis-restart; 1 sends a',
  accepted: 'A create 201; B accept 200 r',
  paired: 'A create 201; B accept 200 room',
  purged: 'accepted; B starts purge k; A starts get g; k 200; g 200 r',
  flush: 'begin redis-flush; end redis-flush',
};

/**
 * Makes the events of a history from its steps. A millisecond passes before each event.
 *
 * Connections, by number (`CONNS`):
 * - `1 connects`; `1 asks [ROOM]`: requests to join. `1 leaves`; `1 gives-up HOW`: see `GivingUp`.
 * - `1 joined 2`, `1 ready`, `1 told TYPE`, `1 error CODE`, `1 closed CODE`: messages that it got, and its close. Number 1 is the
 *   initiator and the others are not, unless a second argument is `answerer` or `initiator`, as in `1 ready 2 answerer`.
 * - `1 sends a`: sends the message a. `2 gets a [SENDER [ROOM]]`: gets it. `1>2`: number 1 sends a message, and 2 gets it.
 *
 * Devices that use REST, by letter:
 * - `B accept 200 r`: a request and its answer, with the room r or an error code.
 * - `B starts accept k 1` and later `k 200 r`: the same in two steps, at server 1. `k` is the Idempotency-Key.
 *
 * All:
 * - `begin cut 1` and `end cut 1`: a fault (`FaultKind`) of server 1. Without a number, it is a fault of all.
 * - `recovery`: the faults of a round are over. `died`: a server ended by itself. `leaked`: a log line had identifying data.
 * - `wait MS`: this time passes.
 */
function history(script: string): Event[] {
  const events: Event[] = [];
  const labels = new Map<string, Label>();
  const senders = new Map<string, Omit<Label, 'id' | 'n'> & { n: number }>();
  const requests = new Map<string, number>();
  let now = 0;
  const add = (happening: Happening) => void events.push({ t: ++now, ...happening });

  const connection = (who: string, verb: string, [arg = '', ...args]: string[]) => {
    const id = Number(who);
    const { device, part, node } = CONNS[id as keyof typeof CONNS];
    const sender = senders.get(who) ?? { room: 'room', n: 0, ready: 0, initiator: false };
    senders.set(who, sender);
    const isInitiator = args.includes('initiator') || (id === 1 && !args.includes('answerer'));
    switch (verb) {
      case 'connects':
        return add({ kind: 'connected', id, clientId: `client${id}`, node, pair: 0, part });
      case 'asks':
        sender.room = arg || 'room';
        return add({ kind: 'asked_join', id, room: sender.room, device });
      case 'joined': {
        const told = { roomId: sender.room, userCount: Number(arg), ready: arg === '2' };
        return add({ kind: 'told', id, notice: { type: 'room_joined', isInitiator, ...told } });
      }
      case 'ready': {
        sender.ready += 1;
        sender.initiator = isInitiator;
        const told = { roomId: sender.room, userCount: 2, isInitiator };
        return add({ kind: 'told', id, notice: { type: 'room_ready', ...told } });
      }
      case 'told':
        return add({ kind: 'told', id, notice: { type: arg, roomId: sender.room } });
      case 'error':
        return add({ kind: 'told', id, notice: { type: 'error', code: arg } });
      case 'sends': {
        sender.n += 1;
        const label = { id, ...sender };
        labels.set(arg, label);
        return add({ kind: 'sent', ...label });
      }
      case 'gets': {
        const label = labels.get(arg) ?? null;
        const [from = `client${label?.id}`, roomId = label?.room ?? ''] = args;
        return add({ kind: 'frame', id, from, roomId, label });
      }
      case 'leaves':
        return add({ kind: 'asked_leave', id });
      case 'gives-up':
        return add({ kind: 'gave_up', id, how: arg as GivingUp });
      case 'closed':
        return add({ kind: 'closed', id, code: Number(arg) });
      default:
        throw new Error(`no step of a connection: ${verb}`);
    }
  };
  const request = (device: string, what: string, key: string, node = 0) => {
    const id = requests.get(key) ?? 100 + requests.size;
    requests.set(key, id);
    add({ kind: 'asked', id, what: what as Operation, code: '123456', device, node });
  };
  const answer = (key: string, [status = '', roomid, client1 = 'A', client2 = 'B']: string[]) => {
    const body = roomid === undefined ? undefined : { roomid, client1, client2 };
    const id = requests.get(key) as number;
    // Answers to an accept and a check have only the room. The further fields do not matter here.
    add({
      kind: 'answered',
      id,
      status: Number(status),
      body: status === '409' ? { error: roomid } : body,
    });
  };
  const step = (text: string): unknown => {
    if (STEPS[text] !== undefined) return steps(STEPS[text]);
    const [, from, to] = /^(\d)>(\d)$/.exec(text) ?? [];
    if (from && to) return steps(`${from} sends ${text}; ${to} gets ${text}`);
    const [who = '', verb = '', ...args] = text.split(' ');
    if (/^\d$/.test(who)) return connection(who, verb, args);
    if (who === 'wait') {
      now += Number(verb);
      return;
    }
    if (who === 'recovery') return add({ kind: 'recovery', pairs: 1 });
    if (who === 'begin' || who === 'end') {
      const node = args[0] === undefined ? null : Number(args[0]);
      return add({ kind: 'fault', what: verb as FaultKind, fault: 1, node, phase: who });
    }
    if (who === 'died') return add({ kind: 'died', node: 1, how: '1' });
    if (who === 'leaked') return add({ kind: 'leaked', node: 1, line: 'room …' });
    if (verb === 'starts')
      return request(who, args[0] as string, args[1] as string, Number(args[2] ?? 0));
    if (requests.has(who)) return answer(who, [verb, ...args]);
    if (!/^[A-D] (create|accept|check|get|purge) /.test(text)) throw new Error(`no step: ${text}`);
    request(who, verb, text);
    return answer(text, args);
  };
  const steps = (text: string) => stepsOf(text).forEach(step);
  steps(script);
  return events;
}

/** The broken rules that the checker finds, each once. */
const broken = (events: readonly Event[]) => [
  ...new Set(check(events, BOUNDS).violations.map(({ rule }) => rule)),
];

/**
 * Tests rows `title: history => rule, rule`. Each rule is a part of the name of a broken rule; without `=>`, none is broken.
 * `wait <MS>` tests the row twice: with 100 ms less, no rule is broken; with 100 ms more, the rules are.
 */
function judge(table: string): void {
  test.each(rowsOf(table))('%s', (_title, row) => {
    const [script = '', rules = ''] = row.split(/\s+=> /);
    const expected = rules
      .split(', ')
      .filter(Boolean)
      .map((words) => expect.stringContaining(words));
    const [, limit] = /<(\d+)>/.exec(script) ?? [];
    const after = (ms: number) => broken(history(script.replace(/<\d+>/, String(ms))));
    if (limit === undefined) return expect(after(0)).toEqual(expected);
    expect(after(Number(limit) - 100)).toEqual([]);
    expect(after(Number(limit) + 100)).toEqual(expect.arrayContaining(expected));
  });
}

describe('roles', () =>
  judge(`
  one initiator: pair
  no initiator: met; 1>2; 2>1; 1 ready 2 answerer; 2 ready; 1>2; 2>1
      => is announced, exactly one initiator
  two initiators: met; 2 ready 2 initiator; 1>2; 2>1 => is announced, exactly one initiator
  a frame that crossed the update of another peer proves no membership: acceptor initiates;
      1 connects; 1 asks; 1 joined 2 answerer; 1 ready 2 answerer; 2 ready 2 initiator; 1>2; 2>1;
      2 gives-up close; 3 connects; 1 sends a; 3 asks; 3 joined 2; 3 ready; 3 gets a;
      1 loses its peer; 1 ready; 3>1; 1>3
  the acceptor of a paired room as the initiator: paired; acceptor initiates => made the code
  the order of arrival after Redis has lost the pairing: paired; flush; acceptor initiates
  `));

describe('service', () =>
  judge(`
  unavailable without a fault: 1 connects; 1 asks; 1 error unavailable => available
  unavailable during a fault: 1 connects; 1 asks; begin cut 0; 1 error unavailable
  503 without a fault: A create 503 => available
  408 to a request: A starts create k; wait 1000; k 408 => available
  408 to an unused connection: A create 408
  a lost connection without a fault: 1 connects; 1 closed 1006 => its reason
  1011 during a fault: 1 connects; begin cut 0; 1 closed 1011 => its reason
  4001 without a request for the seat: pair; 2 closed 4001 => its reason
  a full Redis refuses to create: begin redis-full; A create 503
  a full Redis refuses to accept: begin redis-full; B accept 503
  a full Redis refuses a check: begin redis-full; A check 503 => available
  a full Redis refuses a new room: pair; begin redis-full; another room refused
  a full Redis refuses a room with members: pair; begin redis-full; 4 connects; 4 asks;
      4 error unavailable => available
  a full Redis separates peers: pair; begin redis-full; 1 loses its peer => who is there
  joins of a burst are refused: 5 connects; 5 asks; 5 error unavailable
  joins of a burst are closed: 5 connects; 5 asks; 5 closed 1011 => its reason
  a server that ends by itself: died => ends by itself
  a log with identifying data: leaked => is logged
  a pair that never talks both ways: pair; recovery; 1>2 => usable again
  a message from before the end of the fault proves nothing: pair; 2 sends a; recovery; 1>2;
      1 gets a => usable again
  a pair talks both ways: pair; recovery; 1>2; wait <9998>; 2>1 => usable again
  a stall of the test does not count: pair; recovery; 1>2; begin stall; wait 5000; end stall;
      wait <9998>; 2>1 => usable again
  `));

describe('frames', () =>
  judge(`
  a duplicate: pair; 1 sends a; 2 gets a; 2 gets a => sender's order
  the wrong order: pair; 1 sends a; 1 sends b; 2 gets b; 2 gets a => sender's order
  a lost frame between two others: pair; 1 sends a; 1>2 => is delivered
  a lost frame between two others during a cut: pair; begin cut 1; 1 sends a; 1>2 => is delivered
  a lost frame between two others during a restart of Redis: pair; begin redis-restart; 1 sends a;
      1>2 => is delivered
  a lost first frame: met; 1 sends a; 1>2; 2>1 => is delivered
  a loss that both members are told of: pair; begin redis-restart; 1 sends a; 1 loses its peer;
      1 ready; 2 told peer_disconnected; 2 ready; 1>2; 2>1
  a loss that only the sender is told of: lost after restart; 1 loses its peer; 1 ready; 1>2; 2>1
      => is delivered
  a loss that only the receiver is told of: lost after restart; 2 told peer_disconnected;
      2 ready; 2>1; wait 20000; 2>1 => is delivered
  a loss whose receiver ends by itself: pair; 1 sends a; 2 gives-up terminate; 1 loses its peer;
      wait 20000; 3 connects
  a loss whose receiver joined again before it left: pair; 2 asks; 2 joined 2; 2 ready;
      2 gives-up fade; 1 sends a; wait 3900; 1 loses its peer
  a wrong sender: pair; 1 sends a; 2 gets a self => is the sender
  a wrong room: pair; 1 sends a; 2 gets a client1 another => across rooms
  wrong content: pair; 2 gets nothing => unchanged
  a frame from a peer that has gone: pair; 2 sends a; 2 gives-up close; 1 loses its peer;
      1 gets a => present peer
  a frame that crosses a leave: pair; 2 sends a; 1 leaves; 1 gets a
  a frame after a leave: pair; 1 leaves; 1 told left_room; 2>1 => across rooms, present peer
  a frame from another room: pair; 3 connects; 3 asks other; 3 joined 1; 3>2
      => across rooms, present peer
  a frame of a replaced connection among those of its successor: pair; begin pause 1; wait 4900;
      1 loses its peer; 4 connects; 4 asks; 4 joined 2; 4 ready; 1 ready; 4>1; 2 sends a;
      end pause 1; 1 gets a; 2 closed 4001 => present peer
  both are told of a lost last frame after the fault: pair; begin cut 1; 1 sends a; wait 3000;
      end cut 1; wait <6000>; 2>1 => is delivered
  the sender is told without a known peer: met; 2 gives-up fade; 1 sends a; wait <5000>;
      1 loses its peer => is delivered
  `));

describe('seats', () =>
  judge(`
  a third member beside two others: pair; third; 3 joined 2 => three members
  a userCount of three: 1 connects; 1 asks; 1 joined 3 => three members
  a third device after a hang-up: pair; 2 gives-up terminate; third; 3 joined 2; 3 ready;
      1 loses its peer; 1 ready
  a third device in the seat of a member on a paused server: seat on paused; end pause 1;
      wait 100; 2 closed 1013
  a replaced member that its server does not close afterwards: seat on paused; end pause 1;
      wait 5100; 3>1 => three members
  room_full beside two members: pair; full
  room_full after a departure: pair; 2 leaves; 2 told left_room; 1 told peer_left; full
      => seat is lost
  room_full while a partitioned server cannot report a departure: pair; begin cut 1; 2 leaves;
      2 told left_room; full
  a replaced connection is closed: pair; 4 connects; 4 asks; 4 joined 2; 4 ready;
      1 loses its peer; 1 ready; wait <1000>; 2 closed 4001 => replaced connection
  room_full until a hang-up must be detected: pair; begin kill 1; 2 closed 1006; wait <4950>;
      1 loses its peer; full => seat is lost
  `));

describe('peers that leave', () =>
  judge(`
  a hang-up is told at once: pair; 2 gives-up close; wait <1000>; 1 loses its peer => survivor
  a dead server is told when its lease has expired: pair; begin kill 1; 2 closed 1006;
      wait <5000>; 1 loses its peer => survivor
  a paused server is told when its lease has expired: pair; begin pause 1; wait <5000>;
      1 loses its peer => survivor
  a silent peer is told after the heartbeat: pair; 2 gives-up fade; wait <4000>; 1 loses its peer
      => survivor
  a survivor on a disturbed server is told after the fault: pair; 2 gives-up close; begin cut 0;
      wait 3000; end cut 0; wait <6000>; 1 loses its peer => survivor
  a server that was paused for less than its lease: pair; begin pause 1; wait 4900; end pause 1;
      wait 60000; 1>2
  a server that is only busy: pair; begin burst 1; wait 60000; 1>2
  peer_disconnected about a present peer: pair; 1 told peer_disconnected => who is there
  peer_left about a present peer: pair; 1 told peer_left => who is there
  peer_disconnected about a present peer during a restart of Redis: pair; begin redis-restart;
      1 told peer_disconnected
  a report about a peer that never joined: alone; 1 told peer_left => was there
  another peer without an announcement: pair; 1 ready => is announced
  room_ready after a repeated join: pair; 1 asks; 1 joined 2; 1 ready
  no_peer to a client that has one: pair; 1 error no_peer => is announced
  no_peer to a client whose peer has gone: pair; 2 gives-up close; 1 loses its peer;
      1 error no_peer
  another error: pair; 1 error invalid_message => right message
  an answer that was not asked for: pair; 1 told left_room => was asked
  `));

describe('pairing', () =>
  judge(`
  422: A create 422 => as documented
  429: A create 429 => as documented
  500: A create 500 => as documented
  lost answers, repeats and outages: A create 201; B starts accept k; begin redis-restart;
      B starts accept k 1; k 503; B starts accept k 1; k 409 request_in_progress;
      B starts accept k 2; k 200 r; k 200 r; A check 200 r; A get 200 r
  two devices that get one code: accepted; C accept 200 r => at most one device
  two rooms of one code: accepted; A check 200 another => one room
  a repeat with another answer: A create 201; A starts check k; k 204; A starts check k 1;
      k 200 r => first answer
  a purged room that is gone: purged; A get 404
  a purged room that is back: purged; A get 200 r => purged
  404 to a check during a failover: accepted; begin failover; A check 404 => live pairing
  404 to a get: accepted; A get 404 => live pairing
  409 to an accept after another: A create 201; C starts accept k; B accept 409 conflict
  404 to an accept after another was collected: A create 201; C starts accept k;
      A starts check c; B accept 404
  409 to the only accept: A create 201; A starts check c; B accept 409 conflict => as documented
  404 to an accept before another was collected: A create 201; C starts accept k; B accept 404
      => live pairing
  404 to the only accept: A create 201; A starts check c; B accept 404 => live pairing
  204 to a check after the answer to the accept: accepted; A check 204 => durable
  other devices than those that paired: accepted; A get 200 r A C => two devices
  404 to a pairing that was lost: accepted; flush; A check 404
  404 to a request during the loss: accepted; A starts check k; flush; k 404
  404 to a pairing after the loss: flush; A create 201; B accept 404 => live pairing
  a held check on a disturbed server: A create 201; begin cut 1; A starts check k 1;
      B accept 200 r; wait 5000; k 200 r
  a held check is woken: A create 201; A starts check k 1; B accept 200 r; wait <1000>; k 200 r
      => is woken
  `));

test('the duration of a recovery is reported', () => {
  expect(check(history('pair; recovery; 1>2; 2>1'), BOUNDS).recoveriesMs).toEqual([4]);
});

test('a frame that was never sent is not forwarded unchanged', () => {
  const events = history('pair; 1>2');
  const frame = events.at(-1);
  if (frame?.kind === 'frame' && frame.label) frame.label.initiator = false;
  expect(broken(events)).toEqual(['content is forwarded unchanged']);
});

test('a violation is shown only with the events of its connections and the faults around it', () => {
  const events = history('pair; 5 connects; begin cut 0; 1 sends a; 2 gets a; 2 gets a');
  const [violation] = check(events, BOUNDS).violations;
  const shown = explain(events, violation as NonNullable<typeof violation>);
  expect(shown).toContain("a sender's order, without duplicates");
  expect(shown).toContain('"n":2');
  expect(shown).toContain('fault');
  expect(shown).not.toContain('client5');
});

test('for any seed, the first rounds have every kind of fault, and never two at one node', () => {
  for (let seed = 0; seed < 50; seed++) {
    const all = schedule(seed, 3, true);
    const rounds = Array.from({ length: 20 }, () => all.next().value);
    const kindsUntil = (round: number) =>
      rounds.slice(0, round).flatMap(({ strikes }) => strikes.map(({ what }) => what));
    expect(kindsUntil(ROUNDS_OF_ALL)).toEqual(expect.arrayContaining([...NODE_FAULTS]));
    const ofAll = [...NODE_FAULTS, ...Object.keys(REDIS_FAULTS), 'burst'];
    expect(kindsUntil(ROUNDS_OF_ALL_REDIS)).toEqual(expect.arrayContaining(ofAll));
    for (const { strikes } of rounds) {
      const struck = strikes.filter(({ node, what }) => node !== null && what !== 'burst');
      expect(new Set(struck.map(({ node }) => node)).size).toBe(struck.length);
    }
  }
});
