// Checks roles: of two peers with `room_ready`, one is the initiator; in a paired room it is the device that made the code.
import type { Event } from '../history.js';
import type { Connections } from './connections.js';
import type { Memberships } from './memberships.js';
import { Spans } from './spans.js';
import type { Violation } from './violation.js';

export function roleViolations(
  events: readonly Event[],
  connections: Connections,
  { pairs }: Memberships,
): Violation[] {
  const alike = pairs
    .filter(([one, other]) => one.initiator === other.initiator)
    .map(([one, other]) => ({
      rule: 'exactly one initiator in each room_ready',
      t: Math.max(one.from, other.from),
      what: `both ${one.conn.conn} and ${other.conn.conn} are told isInitiator ${one.initiator}`,
      conns: [one.conn.conn, other.conn.conn],
    }));
  return [
    ...alike,
    ...byDevice(connections, pairedDevices(events), new Spans(events, 'redis-flush')),
  ];
}

interface Devices {
  creator?: string;
  acceptor: string;
  /** Time of the pairing. */
  since: number;
}

/** Room → the devices that paired it, by the answers of REST. */
function pairedDevices(events: readonly Event[]): Map<string, Devices> {
  const asked = new Map<number, Event & { kind: 'asked' }>();
  const creators = new Map<string, string>();
  const rooms = new Map<string, Devices>();
  for (const event of events) {
    if (event.kind === 'asked') {
      asked.set(event.op, event);
      if (event.what === 'create') creators.set(event.code, event.device);
    }
    if (event.kind !== 'answered' || event.status !== 200) continue;
    const question = asked.get(event.op);
    const room = event.body?.roomid;
    if (question?.what !== 'accept' || typeof room !== 'string') continue;
    const creator = creators.get(question.code);
    const since = rooms.get(room)?.since ?? question.t;
    const acceptor = question.device;
    rooms.set(room, { acceptor, since, ...(creator === undefined ? {} : { creator }) });
  }
  return rooms;
}

function byDevice(
  connections: Connections,
  paired: ReadonlyMap<string, Devices>,
  flushes: Spans,
): Violation[] {
  return connections.all.flatMap((connection) => {
    const found: Violation[] = [];
    let device = '';
    for (const event of connection.events) {
      if (event.kind === 'asked_join') device = event.device;
      if (event.kind !== 'told' || event.notice.isInitiator === undefined) continue;
      const { type, roomId, isInitiator } = event.notice;
      const devices = paired.get(roomId ?? '');
      const right = device === devices?.creator ? true : device !== devices?.acceptor && undefined;
      if (devices === undefined || right === undefined || isInitiator === right) continue;
      if (flushes.next(devices.since) <= event.t) continue;
      const who = right ? 'the creator' : 'the acceptor';
      const what = `${type} tells ${who}, ${connection.conn}, isInitiator ${isInitiator}`;
      const rule = 'the device that made the code is the initiator';
      found.push({ rule, t: event.t, what, conns: [connection.conn] });
    }
    return found;
  });
}
