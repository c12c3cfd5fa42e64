// Checks pairing: one device gets a code, all answers name the same room, repeats get the same answer, and no answer is 404.
//
// There is no exception for faults. Every request has a key and is repeated until it is answered. Codes live longer than the
// run and are used once. Any 404, any 409 except that of the losing device, and any two different answers are therefore
// violations. After a flush, nothing is expected of earlier pairings.
import { type EventOf, grouped, isFinal, type Operation } from '../history.js';
import type { Story } from './story.js';

/** A final answer to a request of a device. Other answers are followed by a repeat. */
interface Answer extends EventOf<'answered'> {
  request: EventOf<'asked'>;
}

export function checkPairing(story: Story): void {
  const requests = new Map<number, EventOf<'asked'>>();
  const answers: Answer[] = [];
  for (const event of story.events) {
    if (event.kind === 'asked' && !requests.has(event.id)) requests.set(event.id, event);
    const request = event.kind === 'answered' && isFinal(event) && requests.get(event.id);
    if (request) answers.push({ ...event, request });
  }
  const rooms = new Set<unknown>();
  const answersOf = grouped(answers, ({ request }) => request.code);
  for (const [code, asked] of grouped([...requests.values()], (request) => request.code)) {
    const lostAt = story.faults.flushAfter(Math.min(...asked.map(({ t }) => t)));
    const isKept = ({ t }: { t: number }) => t < lostAt;
    checkCode(asked.filter(isKept), (answersOf.get(code) ?? []).filter(isKept), rooms, story);
  }
}

function checkCode(
  asked: readonly EventOf<'asked'>[],
  answers: readonly Answer[],
  rooms: Set<unknown>,
  { violates }: Story,
): void {
  const of = (what: Operation) => answers.filter(({ request }) => request.what === what);
  const isRequested = (what: Operation, answer: Answer) =>
    asked.some((one) => one.what === what && one.id !== answer.id && one.t < answer.t);
  const accepted = of('accept').find(({ status }) => status === 200);
  const granted = accepted ?? [...of('check'), ...of('get')].find(({ status }) => status === 200);
  const room = granted?.body?.roomid;
  if (granted && rooms.has(room)) {
    violates('a room for one code alone', granted.t, `${room} twice`, granted.id);
  }
  rooms.add(room);
  const creator = asked.find(({ what }) => what === 'create')?.device;
  const purgedAt = Math.min(...of('purge').map(({ t }) => t));
  for (const answer of answers) {
    const { t, id, status, body, request } = answer;
    const { what, device } = request;
    const shown = `${what}: ${status} ${JSON.stringify(body ?? null)}`;
    const first = answers.find((one) => one.id === id) as Answer;
    const isSame = first.status === status && JSON.stringify(first.body) === JSON.stringify(body);
    if (what !== 'get' && !isSame) {
      violates('a repeat gets the first answer again', t, `${shown}, before ${first.status}`, id);
    }
    // Another device was first; after its room was collected, the code was free again.
    const isTaken = isRequested('accept', answer);
    const isPurged = what === 'get' && purgedAt < request.t;
    const allowed = {
      create: [201],
      accept: [
        200,
        ...(isTaken ? [409] : []),
        ...(isTaken && isRequested('check', answer) ? [404] : []),
      ],
      check: [200, 204],
      get: isPurged ? [404] : [200, ...(isRequested('purge', answer) ? [404] : [])],
      purge: [200],
    }[what];
    if (isPurged && status !== 404) violates('what was purged is gone, and stays so', t, shown, id);
    else if (!allowed.includes(status)) {
      const rule = status === 404 ? 'no 404 for a live pairing' : 'REST answers as documented';
      violates(rule, t, shown, id);
    }
    if (what === 'check' && status === 204 && accepted && accepted.t < request.t) {
      violates('an answer that was sent is durable', t, `${shown} after the accept`, id);
    }
    if (status !== 200 || what === 'purge') continue;
    if (body?.roomid !== room) violates('one code, one room', t, `${shown}, before ${room}`, id);
    const winner = accepted?.request.device;
    if (what === 'accept' && device !== winner) {
      violates('a code is accepted by at most one device', t, `${winner} and ${device}`, id);
    }
    const isSecond = winner === undefined || body?.client2 === winner;
    if (what === 'get' && (body?.client1 !== creator || !isSecond)) {
      violates('a room has its two devices', t, shown, id);
    }
  }
}
