// Checks pairing: one device gets a code, all answers name the same room, repeats get the same answer, and no answer is 404.
//
// There is no exception for faults. Every request has a key and is repeated until it is answered. Codes live longer than the
// run and are used once. Any 404, any 409 except that of the losing device, and any two different answers are therefore
// violations. After a flush, nothing is expected of earlier pairings.
import { type EventOf, grouped, isFinal, type Operation } from '../history.js';
import type { Story } from './story.js';

type Answer = EventOf<'answered'>;

/** A request of a device with its Idempotency-Key, repeated until it is answered. */
interface Wish extends EventOf<'asked'> {
  /** Final answers; others are followed by a repeat. */
  answers: Answer[];
}

export function checkPairing(story: Story): void {
  const rooms = new Map<unknown, string>();
  for (const ofCode of grouped(wishes(story), ({ code }) => code).values()) {
    const lostAt = story.faults.flushAfter(Math.min(...ofCode.map(({ t }) => t)));
    const all = ofCode
      .filter(({ t }) => t < lostAt)
      .map((wish) => ({ ...wish, answers: wish.answers.filter(({ t }) => t < lostAt) }));
    for (const wish of all) {
      sameAnswer(wish, story);
      allowedStatus(wish, all, story);
      durable(wish, all, story);
    }
    oneRoom(all, rooms, story);
  }
}

function wishes({ events }: Story): Wish[] {
  const all = new Map<number, Wish>();
  for (const event of events) {
    if (event.kind === 'asked') {
      if (!all.has(event.id)) all.set(event.id, { ...event, answers: [] });
    } else if (event.kind === 'answered' && isFinal(event)) {
      all.get(event.id)?.answers.push(event);
    }
  }
  return [...all.values()];
}

/** Requests with the same key get the same answer. */
function sameAnswer({ id, what, answers }: Wish, { violates }: Story): void {
  if (what === 'get') return;
  const said = ({ status, body }: Answer) => `${status} ${JSON.stringify(body ?? null)}`;
  const [first, ...later] = answers;
  for (const answer of later) {
    if (first === undefined || said(answer) === said(first)) continue;
    const shown = `${what}: ${said(first)}, then ${said(answer)}`;
    violates('a repeat gets the first answer again', answer.t, shown, id);
  }
}

/** Only statuses that the history of the code explains are allowed. */
function allowedStatus(wish: Wish, ofCode: readonly Wish[], { violates }: Story): void {
  const { id, what } = wish;
  for (const { t, status, body } of wish.answers) {
    const before = (other: Operation) =>
      ofCode.some((one) => one.what === other && one !== wish && one.t < t);
    const isPurged = ofCode.some(
      (one) => one.what === 'purge' && one.answers.some((answer) => answer.t < wish.t),
    );
    // Another device was first; after its room was collected, the code was free again.
    const isTaken = before('accept');
    const allowed = {
      create: [201],
      accept: [200, ...(isTaken ? [409] : []), ...(isTaken && before('check') ? [404] : [])],
      check: [200, 204],
      get: isPurged ? [404] : [200, ...(before('purge') ? [404] : [])],
      purge: [200],
    }[what];
    if (allowed.includes(status)) continue;
    const rule =
      what === 'get' && isPurged
        ? 'what was purged is gone, and stays so'
        : status === 404
          ? 'no 404 for a live pairing'
          : 'REST answers as documented';
    violates(rule, t, `${what}: ${status} ${JSON.stringify(body ?? null)}`, id);
  }
}

/** All answers name one room, which no other code has, and its two devices. */
function oneRoom(all: readonly Wish[], rooms: Map<unknown, string>, { violates }: Story): void {
  const ids = all.map(({ id }) => id);
  const granted = all.flatMap((wish) =>
    wish.answers.filter(({ status }) => status === 200).map((answer) => ({ ...wish, ...answer })),
  );
  const [first] = granted.filter(({ what }) => what !== 'purge');
  if (first === undefined) return;
  const room = first.body?.roomid;
  if (rooms.has(room)) violates('a room for one code alone', first.t, `${room} twice`, ...ids);
  rooms.set(room, first.code);
  const creator = all.find(({ what }) => what === 'create')?.device;
  const winner = granted.find(({ what }) => what === 'accept')?.device;
  for (const { what, t, device, body, id } of granted) {
    if (what === 'purge') continue;
    if (body?.roomid !== room) {
      violates('one code, one room', t, `${what}: ${body?.roomid}, and before ${room}`, ...ids);
    }
    if (what === 'accept' && device !== winner) {
      const shown = `accepted by ${winner} and ${device}`;
      violates('a code is accepted by at most one device', t, shown, ...ids);
    }
    if (what !== 'get') continue;
    const isSecond = winner === undefined || body?.client2 === winner;
    if (body?.client1 !== creator || !isSecond)
      violates('a room has its two devices', t, JSON.stringify(body), id);
  }
}

/** An answered accept is visible to all requests: a later check is never answered 204. */
function durable({ what, t: asked, id, answers }: Wish, all: readonly Wish[], story: Story): void {
  const [first] = answers;
  if (what !== 'check' || first?.status !== 204) return;
  const isAccepted = all.some(
    (wish) =>
      wish.what === 'accept' && wish.answers.some(({ t, status }) => status === 200 && t < asked),
  );
  if (!isAccepted) return;
  const shown = '204 to a check that was asked after the accept had been answered';
  story.violates('an answer that was sent is durable', first.t, shown, id);
}
