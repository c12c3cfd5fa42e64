// Checks pairing: one device gets a code, all answers name the same room, repeats get the same answer, and no answer is 404.
import { type Event, grouped, type Operation } from '../history.js';
import { Spans } from './disturbances.js';
import type { Story, Violation } from './violation.js';

interface Answer {
  t: number;
  status: number;
  body: Record<string, unknown> | undefined;
}

/** A request of a device with its Idempotency-Key, repeated until it is answered. */
interface Wish {
  op: number;
  what: Operation;
  code: string;
  device: string;
  /** Time of the first attempt. */
  asked: number;
  answers: Answer[];
  /** The servers that were asked. */
  nodes: number[];
}

/** Answers after which the request is repeated. 408: the server was stalled while the request arrived. */
const isFinal = ({ status, body }: Answer) =>
  status !== 503 && status !== 408 && !(status === 409 && body?.error === 'request_in_progress');

export function pairingViolations(story: Story): Violation[] {
  const flushes = new Spans(story.events, 'redis-flush');
  const codes = grouped(wishes(story.events), ({ code }) => code);
  const rooms = new Map<string, string>();
  return [...codes].flatMap(([code, ofCode]) => {
    const all = untilLost(ofCode, flushes);
    return [
      ...all.flatMap((wish) => [...repeats(wish), ...statuses(wish, all)]),
      ...oneRoom(code, all, rooms),
      ...freshness(all, story),
    ];
  });
}

/** The requests and answers of a code before Redis lost it. */
function untilLost(all: readonly Wish[], flushes: Spans): Wish[] {
  const lostAt = flushes.next(Math.min(...all.map(({ asked }) => asked)));
  return all
    .filter(({ asked }) => asked < lostAt)
    .map((wish) => ({ ...wish, answers: wish.answers.filter(({ t }) => t < lostAt) }));
}

function wishes(events: readonly Event[]): Wish[] {
  const all = new Map<number, Wish>();
  for (const event of events) {
    if (event.kind === 'asked') {
      const { op, what, code, device, node, t } = event;
      const wish = all.get(op) ?? { op, what, code, device, asked: t, answers: [], nodes: [] };
      wish.nodes.push(node);
      all.set(op, wish);
    } else if (event.kind === 'answered') {
      const { t, status, body } = event;
      all.get(event.op)?.answers.push({ t, status, body });
    }
  }
  return [...all.values()];
}

/** Requests with the same key get the same answer. */
function repeats({ op, what, answers }: Wish): Violation[] {
  const [first, ...later] = answers.filter(isFinal);
  if (first === undefined || what === 'get') return [];
  const said = ({ status, body }: Answer) => `${status} ${JSON.stringify(body ?? null)}`;
  return later
    .filter((answer) => said(answer) !== said(first))
    .map(({ t, ...other }) => ({
      rule: 'a repeat gets the first answer again',
      t,
      what: `${what}: ${said(first)}, then ${said({ t, ...other })}`,
      ops: [op],
    }));
}

/** Only statuses that the history of the code explains are allowed. */
function statuses(wish: Wish, ofCode: readonly Wish[]): Violation[] {
  const { op, what, answers } = wish;
  return answers.filter(isFinal).flatMap(({ t, status, body }) => {
    const before = (other: Operation) =>
      ofCode.filter((one) => one.what === other && one !== wish && one.asked < t);
    const allowed = {
      create: [201],
      // Another device was first; after its room was collected, the code was free again.
      accept: [
        200,
        ...(before('accept').length > 0 ? [409] : []),
        ...(before('accept').length > 0 && before('check').length > 0 ? [404] : []),
      ],
      check: [200, 204],
      get: isPurged(wish, ofCode) ? [404] : [200, ...(before('purge').length > 0 ? [404] : [])],
      purge: [200],
    }[what];
    if (allowed.includes(status)) return [];
    const rule = ruleOf(what, status, allowed);
    return [{ rule, t, what: `${what}: ${status} ${JSON.stringify(body ?? null)}`, ops: [op] }];
  });
}

/** Whether a purge of one of its devices was answered before this request; the room is then permanently deleted. */
function isPurged({ asked }: Wish, ofCode: readonly Wish[]): boolean {
  return ofCode.some(
    ({ what, answers }) => what === 'purge' && answers.some((one) => isFinal(one) && one.t < asked),
  );
}

function ruleOf(what: Operation, status: number, allowed: readonly number[]): string {
  if (what === 'get' && !allowed.includes(200)) return 'what was purged is gone, and stays so';
  return status === 404 ? 'no 404 to a live pairing' : 'REST answers as documented';
}

function oneRoom(code: string, all: readonly Wish[], rooms: Map<string, string>): Violation[] {
  const found: Violation[] = [];
  const ops = all.map(({ op }) => op);
  const winners = new Set<string>();
  let room: unknown;
  for (const wish of all.filter(({ what }) => what !== 'purge')) {
    for (const { t, status, body } of wish.answers.filter(({ status }) => status === 200)) {
      room ??= body?.roomid;
      if (body?.roomid !== room) {
        const what = `${wish.what}: ${body?.roomid}, and before ${room}`;
        found.push({ rule: 'one code, one room', t, what, ops });
      }
      if (wish.what === 'accept') winners.add(wish.device);
      if (winners.size > 1) {
        const what = `accepted by ${[...winners].join(' and ')}`;
        found.push({ rule: 'a code is accepted by at most one device', t, what, ops });
      }
      if (wish.what === 'get') found.push(...rightDevices(wish, { t, status, body }, all));
    }
  }
  if (typeof room === 'string') {
    const other = rooms.get(room);
    if (other !== undefined) {
      found.push({ rule: 'a room for one code alone', t: 0, what: `${room} twice`, ops });
    }
    rooms.set(room, code);
  }
  return found;
}

function rightDevices(wish: Wish, { t, body }: Answer, all: readonly Wish[]): Violation[] {
  const creator = all.find(({ what }) => what === 'create')?.device;
  const winner = all.find(
    ({ what, answers }) => what === 'accept' && answers.some(({ status }) => status === 200),
  )?.device;
  const right = body?.client1 === creator && (winner === undefined || body?.client2 === winner);
  if (right) return [];
  return [{ rule: 'a room has its two devices', t, what: JSON.stringify(body), ops: [wish.op] }];
}

/**
 * What was answered to one is seen by all: a check that is asked after the accept was answered is never told to wait,
 * and one that is held then is answered within the bound.
 */
function freshness(all: readonly Wish[], { disturbances, bounds }: Story): Violation[] {
  const accepted = Math.min(
    ...all
      .filter(({ what }) => what === 'accept')
      .flatMap(({ answers }) => answers.filter(({ status }) => status === 200).map(({ t }) => t)),
  );
  if (accepted === Number.POSITIVE_INFINITY) return [];
  return all
    .filter(({ what }) => what === 'check')
    .flatMap(({ op, asked, answers, nodes }) => {
      const first = answers.find(isFinal);
      if (first === undefined) return [];
      if (first.status === 204 && asked > accepted) {
        const what = '204 to a check that was asked after the accept had been answered';
        return [{ rule: 'an answer that was sent is durable', t: first.t, what, ops: [op] }];
      }
      const late = first.t - accepted;
      if (asked > accepted || nodes.length > 1 || late <= bounds.settleMs) return [];
      if (disturbances.touch(nodes[0] as number, asked, first.t)) return [];
      const what = `${first.status} came ${Math.round(late)} ms after the accept was answered`;
      return [{ rule: 'a held check is woken', t: first.t, what, ops: [op] }];
    });
}
