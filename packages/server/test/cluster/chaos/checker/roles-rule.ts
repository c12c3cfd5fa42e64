// Checks roles: of two peers with `room_ready`, one is the initiator; in a paired room it is the device that made the code.
import type { Event } from '../history.js';
import { Spans } from './disturbances.js';
import type { Membership } from './reading.js';
import type { Story, Violation } from './violation.js';

export function roleViolations(
  { events, connections }: Story,
  memberships: readonly Membership[],
): Violation[] {
  const paired = pairedDevices(events);
  const flushes = new Spans(events, 'redis-flush');
  const alike = memberships
    .filter(([one, other]) => one.initiator === other.initiator)
    .map(([one, other]) => ({
      rule: 'exactly one initiator in each room_ready',
      t: Math.max(one.from, other.from),
      what: `both ${one.conn.conn} and ${other.conn.conn} are told isInitiator ${one.initiator}`,
      conns: [one.conn.conn, other.conn.conn],
    }));
  const wrong = connections.all.flatMap(({ conn, events: own }) => {
    let device = '';
    return own.flatMap((event) => {
      if (event.kind === 'asked_join') device = event.device;
      if (event.kind !== 'told' || event.notice.isInitiator === undefined) return [];
      const { type, roomId, isInitiator } = event.notice;
      const devices = paired.get(roomId ?? '');
      if (devices === undefined || flushes.next(devices.since) <= event.t) return [];
      const isCreator = device === devices.creator;
      if ((!isCreator && device !== devices.acceptor) || isInitiator === isCreator) return [];
      const who = isCreator ? 'the creator' : 'the acceptor';
      const what = `${type} tells ${who}, ${conn}, isInitiator ${isInitiator}`;
      const rule = 'the device that made the code is the initiator';
      return [{ rule, t: event.t, what, conns: [conn] }];
    });
  });
  return [...alike, ...wrong];
}

/** Room → the devices that paired it, according to the answers of REST. */
function pairedDevices(events: readonly Event[]) {
  const asked = new Map<number, Event & { kind: 'asked' }>();
  const creators = new Map<string, string>();
  const rooms = new Map<string, { creator: string | undefined; acceptor: string; since: number }>();
  for (const event of events) {
    if (event.kind === 'asked') {
      asked.set(event.op, event);
      if (event.what === 'create') creators.set(event.code, event.device);
    }
    if (event.kind !== 'answered' || event.status !== 200) continue;
    const question = asked.get(event.op);
    const room = event.body?.roomid;
    if (question?.what !== 'accept' || typeof room !== 'string') continue;
    const { code, device, t } = question;
    const since = rooms.get(room)?.since ?? t;
    rooms.set(room, { creator: creators.get(code), acceptor: device, since });
  }
  return rooms;
}
