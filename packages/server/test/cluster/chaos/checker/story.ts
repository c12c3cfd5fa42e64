// Derives the memberships of each connection from a history, and when each server was disturbed.
import { type Bounds, type Event, type EventOf, grouped, type Label, NEVER } from '../history.js';

/** Reports a violation of an invariant, with the connections or requests whose events show it. */
export type Violates = (rule: string, t: number, what: string, ...ids: number[]) => void;

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

/** A seat, from the reading of `room_joined` until the client gives it up or is closed. */
export interface Stay {
  conn: Connection;
  join: EventOf<'asked_join'>;
  from: number;
  to: number;
}

/** A connection, read from its events. */
export class Connection {
  readonly joins: EventOf<'asked_join'>[] = [];
  readonly stays: Stay[] = [];
  readonly readies: Ready[] = [];
  /** Message `n` is at `n - 1`. */
  readonly sent: EventOf<'sent'>[] = [];
  /** Whether its client ended it. */
  gaveUp = false;
  closed: EventOf<'closed'> | undefined;
  readonly opened: EventOf<'connected'>;
  readonly id: number;
  readonly node: number;
  readonly #violates: Violates;
  /** The room that its client has been told of, and its membership there. */
  #room: string | undefined;
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
    switch (event.kind) {
      case 'asked_join':
        if (this.#room !== undefined && this.#room !== event.room) this.#leave(event.t);
        this.joins.push(event);
        break;
      case 'asked_leave':
        this.#leave(event.t);
        break;
      case 'gave_up':
        this.gaveUp = true;
        this.#release('itself', event.t);
        break;
      case 'closed':
        this.closed = event;
        this.#release('closed', event.t);
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
      case 'room_joined': {
        const join = this.joins.at(-1) as EventOf<'asked_join'>;
        this.#isLeaving = false;
        // A repeated join continues the stay.
        if (join.room === this.#room) break;
        this.#end('itself', t);
        this.#room = join.room;
        this.stays.push({ conn: this, join, from: t, to: NEVER });
        break;
      }
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
        this.#room = undefined;
        this.#isLeaving = false;
    }
  }

  #frame(event: EventOf<'frame'>): void {
    const { t, from, roomId, label } = event;
    if (label === null) {
      this.#violates('content is forwarded unchanged', t, `from ${from}`, this.id);
      return;
    }
    const what = `${label.id}/${label.n} of ${label.room} came as of ${roomId} to ${this.id}`;
    if (label.room !== roomId || (roomId !== this.#room && !this.#isLeaving)) {
      this.#violates('no frame across rooms', t, what, this.id, label.id);
    }
    if (this.#ready) this.#ready.frames.push({ ...event, label });
    else if (!this.#isLeaving) {
      this.#violates('frames come from the present peer', t, what, this.id, label.id);
    }
  }

  #leave(t: number): void {
    this.#release('itself', t);
    this.#isLeaving = true;
  }

  #release(end: Ready['end'], t: number): void {
    const stay = this.stays.at(-1);
    if (stay) stay.to = Math.min(stay.to, t);
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
  readies: readonly Ready[];
  faults: Faults;
  bounds: Bounds;
  violates: Violates;
}

export function read(events: readonly Event[], bounds: Bounds, violates: Violates): Story {
  const byId = grouped(events, (event) => ('id' in event ? event.id : null));
  const opened = events.filter((event) => event.kind === 'connected');
  const conns = new Map(
    opened.map((event) => [event.id, new Connection(event, byId.get(event.id) ?? [], violates)]),
  );
  const readies = [...conns.values()].flatMap((conn) => conn.readies);
  findPartners(readies);
  return { events, conns, readies, faults: new Faults(events, bounds), bounds, violates };
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

/** When a client left or hung up by itself, or its connection broke. A repeated join causes another `room_ready`, and it stays. */
export function goneAt({ conn, index, end, until }: Ready): number {
  if (end === 'itself' || end === 'closed') return until;
  const next: Ready | undefined = end === 'ready_again' ? conn.readies[index] : undefined;
  return next ? goneAt(next) : NEVER;
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

  #of(nodes: readonly number[]) {
    return this.#all.filter(({ node }) => node === null || nodes.includes(node));
  }

  /** Whether any of these servers was disturbed at any moment between two. */
  touch(nodes: readonly number[], after: number, before = after): boolean {
    return this.#of(nodes).some(({ from, to }) => from <= before && to >= after);
  }

  /** The parts of a time in which none of these servers was disturbed. */
  between(nodes: readonly number[], from: number, to: number): { from: number; to: number }[] {
    const spans: { from: number; to: number }[] = [];
    let start = from;
    for (const fault of [...this.#of(nodes), { from: to, to }]) {
      const end = Math.min(fault.from, to);
      if (end > start) spans.push({ from: start, to: end });
      start = Math.max(start, fault.to);
    }
    return spans;
  }

  /** The earliest end of a time of this length, not before `t`, in which none of the servers was disturbed. */
  afterQuiet(nodes: readonly number[], t: number, lengthMs: number): number {
    let start = t;
    for (const { from, to } of this.#of(nodes)) {
      if (from <= start + lengthMs && to > start) start = to;
    }
    return start + lengthMs;
  }

  /** The beginning of the first loss of all data that has not ended by `t`. */
  flushAfter(t: number): number {
    const flush = this.#all.find(({ what, over }) => what === 'redis-flush' && over >= t);
    return flush?.from ?? NEVER;
  }

  /** The time between two moments in which the test stood still. */
  stalledMs(after: number, before: number): number {
    return this.#all
      .filter(({ what }) => what === 'stall')
      .map(({ from, over }) => Math.min(over, before) - Math.max(from, after))
      .reduce((sum, ms) => sum + Math.max(0, ms), 0);
  }
}
