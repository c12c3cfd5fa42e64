// Derives the stays and memberships of each connection from a history, and when each server was disturbed.
import { type Bounds, type Event, type EventOf, grouped, type Label, NEVER } from '../history.js';

/** Reports a violation of an invariant, with the connections or requests whose events show it. */
export type Violates = (rule: string, t: number, what: string, ...ids: number[]) => void;

/** A join, from its request. */
export interface Stay {
  conn: Connection;
  room: string;
  device: string;
  asked: number;
  /** When the client got `room_joined`. */
  joined: number;
  /** When the client first did something that gives the seat up, or was closed. */
  released: number;
  /** The server ended it. */
  byServer: boolean;
}

/** The time from a `room_ready` until the client was told otherwise, or ended it. */
export interface Ready {
  conn: Connection;
  /** Counts from 1. */
  index: number;
  room: string;
  initiator: boolean;
  from: number;
  until: number;
  /** What ended it. */
  end: 'none' | 'peer_left' | 'peer_disconnected' | 'ready_again' | 'itself' | 'closed';
  frames: (EventOf<'frame'> & { label: Label })[];
  /** The times of its peer that certainly belong to the same membership. */
  partners: Ready[];
}

/** A connection, read from its events. */
export class Connection {
  readonly stays: Stay[] = [];
  readonly readies: Ready[] = [];
  /** Message `n` is at `n - 1`. */
  readonly sent: EventOf<'sent'>[] = [];
  /** When its client ended it, or was told that it is closed. */
  ended = NEVER;
  /** Whether its client ended it. */
  gaveUp = false;
  closed: EventOf<'closed'> | undefined;
  readonly opened: EventOf<'connected'>;
  readonly id: number;
  readonly node: number;
  readonly #violates: Violates;
  /** The seat that its client has been told of, and its membership there. */
  #seat: Stay | undefined;
  #ready: Ready | undefined;
  /** It has requested to leave or to move, without success so far. Its messages may be of either room. */
  #isLeaving = false;

  constructor(opened: EventOf<'connected'>, events: readonly Event[], violates: Violates) {
    this.opened = opened;
    this.id = opened.id;
    this.node = opened.node;
    this.#violates = violates;
    for (const event of events) this.#take(event);
  }

  #take(event: Event): void {
    const { t } = event;
    switch (event.kind) {
      case 'asked_join': {
        const { room, device } = event;
        if (this.#seat && room !== this.#seat.room) this.#leave(t);
        const open = { asked: t, joined: NEVER, released: NEVER, byServer: false };
        this.stays.push({ conn: this, room, device, ...open });
        break;
      }
      case 'asked_leave':
        this.#leave(t);
        break;
      case 'gave_up':
        this.gaveUp = true;
        this.#release(t);
        this.ended = Math.min(this.ended, t);
        break;
      case 'closed':
        this.closed = event;
        this.#release(t, 'closed');
        this.ended = Math.min(this.ended, t);
        break;
      case 'sent':
        this.sent.push(event);
        break;
      case 'frame':
        this.#frame(event);
        break;
      case 'told':
        this.#told(event);
    }
  }

  #told({ notice: { type, roomId, isInitiator }, t }: EventOf<'told'>): void {
    switch (type) {
      case 'room_joined':
        this.#joined(t);
        break;
      case 'room_ready':
        this.#end('ready_again', t);
        this.#ready = {
          conn: this,
          index: this.readies.length + 1,
          room: roomId ?? '',
          initiator: isInitiator === true,
          from: t,
          until: NEVER,
          end: 'none',
          frames: [],
          partners: [],
        };
        this.readies.push(this.#ready);
        // The client does not use this membership.
        if (this.#isLeaving) this.#end('itself', t);
        break;
      case 'peer_left':
      case 'peer_disconnected':
        this.#end(type, t);
        break;
      case 'left_room':
        this.#seat = undefined;
        this.#isLeaving = false;
    }
  }

  #joined(t: number): void {
    const asked = this.stays.at(-1) as Stay;
    this.#isLeaving = false;
    const isSame = this.#seat?.room === asked.room;
    if (!isSame) this.#end('itself', t);
    // A repeated join continues the stay.
    if (isSame && this.#seat !== asked && this.#seat?.released === NEVER) {
      this.stays.pop();
      return;
    }
    asked.joined = t;
    this.#seat = asked;
  }

  #frame(event: EventOf<'frame'>): void {
    const { t, from, roomId, label } = event;
    if (label === null) {
      this.#violates('content is forwarded unchanged', t, `from ${from}`, this.id);
      return;
    }
    const what = `${label.id}/${label.n} of ${label.room} came as of ${roomId} to ${this.id}`;
    if (label.room !== roomId || (roomId !== this.#seat?.room && !this.#isLeaving)) {
      this.#violates('no frame across rooms', t, what, this.id, label.id);
    }
    if (this.#ready) this.#ready.frames.push({ ...event, label });
    else if (!this.#isLeaving) {
      this.#violates('frames come from the present peer', t, what, this.id, label.id);
    }
  }

  #leave(t: number): void {
    this.#release(t);
    this.#isLeaving = true;
  }

  #release(t: number, end: 'itself' | 'closed' = 'itself'): void {
    for (const stay of this.stays) {
      if (stay.released < NEVER) continue;
      stay.released = t;
      stay.byServer = end === 'closed' && this.ended === NEVER;
    }
    this.#end(end, t);
  }

  #end(end: Ready['end'], t: number): void {
    if (this.#ready) Object.assign(this.#ready, { end, until: t });
    this.#ready = undefined;
  }
}

/** A history as the rules read it. */
export interface Story {
  events: readonly Event[];
  conns: ReadonlyMap<number, Connection>;
  stays: readonly Stay[];
  readies: readonly Ready[];
  faults: Faults;
  bounds: Bounds;
  violates: Violates;
  /** The stays in the same room that the device of a stay requested by other connections. */
  others(stay: Stay): Stay[];
}

export function read(events: readonly Event[], bounds: Bounds, violates: Violates): Story {
  const byId = grouped(events, (event) => ('id' in event ? event.id : null));
  const opened = events.filter((event) => event.kind === 'connected');
  const conns = new Map(
    opened.map((event) => [event.id, new Connection(event, byId.get(event.id) ?? [], violates)]),
  );
  const all = [...conns.values()];
  const stays = all.flatMap((conn) => conn.stays);
  const joins = grouped(stays, ({ device, room }) => `${device} ${room}`);
  const readies = all.flatMap((conn) => conn.readies);
  findPartners(readies);
  const others = (stay: Stay) =>
    (joins.get(`${stay.device} ${stay.room}`) ?? []).filter(({ conn }) => conn !== stay.conn);
  const faults = new Faults(events, bounds);
  return { events, conns, stays, readies, faults, bounds, violates, others };
}

/**
 * Finds the certain memberships. A frame that was sent in `room_ready` i of X and came in j of Y does not prove that the two
 * belong together: X may not yet have been told of another peer. If a frame of j also came in i, they do: that frame was
 * sent after Y was told of j, and arrived before the next `room_ready` of X. So X was told of i by the change that told Y
 * of j, or i only repeats it after another join, with the same roles.
 */
function findPartners(readies: readonly Ready[]): void {
  const known = new Map(readies.map((ready) => [`${ready.conn.id}:${ready.index}`, ready]));
  const senders = new Map(
    readies.map((ready) => [
      ready,
      new Set(ready.frames.map(({ label }) => known.get(`${label.id}:${label.ready}`))),
    ]),
  );
  for (const [ready, of] of senders) {
    for (const sender of of)
      if (sender && senders.get(sender)?.has(ready)) ready.partners.push(sender);
  }
}

/** When servers were disturbed: from the beginning of a fault until its last effect may have arrived. */
export class Faults {
  /** The time of the last event. An effect that has not happened by then may still be in time. */
  readonly horizon: number;
  /** In the order of their beginnings. Without a node, a fault disturbs every server: one of Redis, or of the test itself. */
  readonly #all: { what: string; node: number | null; from: number; over: number; to: number }[];

  constructor(events: readonly Event[], { recoveryMs }: Bounds) {
    this.horizon = events.reduce((last, { t }) => Math.max(last, t), 0);
    const marks = events.filter((event) => event.kind === 'fault');
    this.#all = [...grouped(marks, ({ fault }) => fault).values()]
      .map(([begin, end]) => {
        const { what, node, t: from } = begin as EventOf<'fault'>;
        const over = end?.t ?? NEVER;
        return { what, node, from, over, to: over + recoveryMs };
      })
      .sort((a, b) => a.from - b.from);
  }

  /** The disturbances of these servers, by their beginning. */
  of(...nodes: readonly number[]) {
    return this.#all.filter(({ node }) => node === null || nodes.includes(node));
  }

  /** Whether a server was disturbed at any moment between two. */
  touch(node: number, after: number, before = after): boolean {
    return this.of(node).some(({ from, to }) => from <= before && to >= after);
  }

  /** The earliest end of a time of this length, not before `t`, in which none of the servers was disturbed. */
  afterQuiet(nodes: readonly number[], t: number, lengthMs: number): number {
    let start = t;
    for (const { from, to } of this.of(...nodes)) {
      if (from <= start + lengthMs && to > start) start = to;
    }
    return start + lengthMs;
  }

  /** The beginning of the first loss of all data that has not ended by `t`. */
  flushAfter(t: number): number {
    const isFlush = ({ what, over }: { what: string; over: number }) =>
      what === 'redis-flush' && over >= t;
    return this.#all.find(isFlush)?.from ?? NEVER;
  }

  /** The time between two moments in which the test stood still. */
  stalledMs(after: number, before: number): number {
    return this.#all
      .filter(({ what }) => what === 'stall')
      .map(({ from, over }) => Math.min(over, before) - Math.max(from, after))
      .reduce((sum, ms) => sum + Math.max(0, ms), 0);
  }
}
