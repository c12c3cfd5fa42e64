// Derives the stays and memberships of each connection from a history, and reports impossible sequences of messages.
import {
  type Bounds,
  type Event,
  type EventOf,
  grouped,
  type Label,
  NEVER,
  type Notice,
} from '../history.js';
import { Faults } from './faults.js';

/** Reports a violation of an invariant, with the connections or requests whose events show it. */
export type Violates = (rule: string, t: number, what: string, ...ids: number[]) => void;

/** One requested join and its outcome. */
export interface Stay {
  conn: Connection;
  room: string;
  device: string;
  asked: number;
  /** When the client got `room_joined`. */
  joined: number;
  /** When the client got `room_full`. */
  refused: number;
  /** When the client first did something that gives the seat up, or was closed. */
  released: number;
  /** The server ended it. */
  byServer: boolean;
  /** When the client was told that it has left, by the answer to a leave or to another join. */
  left: number;
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

const ANNOUNCED = 'a peer that goes is announced';
const ANSWERS = 'only answers to what was asked';

/** A connection, read from its events. */
export class Connection {
  readonly stays: Stay[] = [];
  readonly readies: Ready[] = [];
  /** Message `n` is at `n - 1`. */
  readonly sent: EventOf<'sent'>[] = [];
  /** When its client ended it, or was told that it is closed. */
  ended = NEVER;
  gaveUp: EventOf<'gave_up'>['how'] | undefined;
  /** When its client was told that it is closed, and how. */
  readonly closed: number;
  readonly closeCode: number | undefined;
  readonly id: number;
  readonly node: number;
  readonly pair: number;
  readonly part: EventOf<'connected'>['part'];
  readonly #violates: Violates;
  /** The seat that its client has been told of, and its membership there. */
  #seat: Stay | undefined;
  #ready: Ready | undefined;
  /** What its client waits for. */
  #asked: Stay | 'leave' | undefined;
  /** `room_joined` counted two members: the `room_ready` of that answer is still to come. */
  #readyDue = false;
  /** A leave or a move was refused. The client does not know which seat it has, so no message counts as wrong. */
  #unsure = false;

  constructor({ id, node, pair, part }: EventOf<'connected'>, events: Event[], violates: Violates) {
    [this.id, this.node, this.pair, this.part] = [id, node, pair, part];
    this.#violates = violates;
    const closed = events.find((event) => event.kind === 'closed');
    this.closed = closed?.t ?? NEVER;
    this.closeCode = closed?.code;
    for (const event of events) this.#take(event);
  }

  #take(event: Event): void {
    const { t } = event;
    switch (event.kind) {
      case 'asked_join': {
        const { room, device } = event;
        // A client that requests another seat may lose its present one from now on.
        if (this.#seat && room !== this.#seat.room) this.#release(t);
        const open = { joined: NEVER, refused: NEVER, released: NEVER, left: NEVER };
        this.#asked = { conn: this, room, device, asked: t, byServer: false, ...open };
        this.stays.push(this.#asked);
        break;
      }
      case 'asked_leave':
        this.#release(t);
        this.#asked = 'leave';
        break;
      case 'gave_up':
        this.#release(t);
        this.gaveUp ??= event.how;
        this.ended = Math.min(this.ended, t);
        break;
      case 'closed':
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
        this.#told(event.notice, t);
    }
  }

  #told(notice: Notice, t: number): void {
    const { type, roomId = null, code = '' } = notice;
    const asked = this.#asked;
    switch (type) {
      case 'room_joined':
        this.#joined(notice, t);
        break;
      case 'room_ready':
        this.#becameReady(notice, t);
        break;
      case 'peer_left':
      case 'peer_disconnected':
        if (!this.#ready && !this.#isLeaving) {
          this.#violates(
            'told only of a peer that was there',
            t,
            `${type} without a peer`,
            this.id,
          );
        }
        this.#end(type, t);
        break;
      case 'room_full':
        this.#isAnswer(t, type, typeof asked === 'object' && asked.room === roomId);
        if (typeof asked === 'object') asked.refused = t;
        this.#unsure ||= this.#seat !== undefined;
        break;
      case 'left_room':
        this.#isAnswer(t, type, asked === 'leave');
        // A seat that was lost meanwhile is answered by null; then the connection is closed.
        if (roomId !== (this.#seat?.room ?? null) && (roomId !== null || this.closed === NEVER)) {
          const what = `${roomId}, not ${this.#seat?.room}`;
          this.#violates('left_room names the own room', t, what, this.id);
        }
        if (this.#seat) this.#seat.left = t;
        this.#seat = undefined;
        this.#readyDue = false;
        break;
      case 'error':
        this.#error(code, t);
        break;
      case 'pong':
        break;
      default:
        this.#violates('only documented messages', t, type, this.id);
    }
  }

  #isAnswer(t: number, type: string, isAsked: boolean): void {
    if (!isAsked) this.#violates(ANSWERS, t, `${type} that was not asked for`, this.id);
    this.#asked = undefined;
  }

  /** The client has requested to leave. It may then get messages about a peer whose `room_ready` it has not got. */
  get #isLeaving(): boolean {
    const asked = this.#asked;
    const isMoving = typeof asked === 'object' && asked.room !== this.#seat?.room;
    return this.#unsure || asked === 'leave' || isMoving;
  }

  #joined({ roomId, userCount, ready }: Notice, t: number): void {
    const asked = this.#asked;
    const isAsked = typeof asked === 'object' && asked.room === roomId;
    this.#isAnswer(t, `room_joined ${roomId}`, isAsked);
    if (userCount !== (ready ? 2 : 1)) {
      const what = `room_joined counts ${userCount}`;
      this.#violates('a room never has three members', t, what, this.id);
    }
    const isSame = this.#seat?.room === roomId;
    if (!isSame) this.#end('itself', t);
    else if (this.#ready && !ready) {
      this.#violates(ANNOUNCED, t, 'room_joined counts the peer out', this.id);
      this.#end('peer_disconnected', t);
    }
    this.#readyDue = ready === true;
    this.#unsure &&= isSame;
    if (!isAsked) return;
    // A repeated join continues the stay.
    if (isSame && this.#seat?.released === NEVER) this.stays.pop();
    else {
      if (this.#seat) this.#seat.left = t;
      asked.joined = t;
      this.#seat = asked;
    }
  }

  #becameReady({ roomId, userCount, isInitiator }: Notice, t: number): void {
    const room = this.#seat?.room;
    if (roomId !== room || userCount !== 2) {
      const what = `room_ready of ${roomId} for ${userCount}, in ${room}`;
      this.#violates('room_ready is of the own room, for two', t, what, this.id);
    }
    if (this.#ready && !this.#readyDue && !this.#isLeaving) {
      this.#violates(ANNOUNCED, t, 'room_ready, and the peer before had not gone', this.id);
    }
    this.#end('ready_again', t);
    this.#readyDue = false;
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
    // The client is leaving, so it does not use this membership.
    if (this.#isLeaving) this.#end('itself', t);
  }

  /** A correct client gets an error only if its message crossed an update, or the engine was unreachable. */
  #error(code: string, t: number): void {
    const asked = this.#asked;
    if (code === 'unavailable') {
      const isRejoin = typeof asked === 'object' && asked.room === this.#seat?.room;
      this.#unsure ||= this.#seat !== undefined && !isRejoin;
      this.#asked = undefined;
    } else if (code !== 'no_peer' && code !== 'not_in_room') {
      this.#violates('no error to a right message', t, code, this.id);
    } else if (this.#ready || (code === 'not_in_room' && this.#seat && !this.#isLeaving)) {
      this.#violates(ANNOUNCED, t, `${code}, and it was told of a peer`, this.id);
    }
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
  conns: readonly Connection[];
  stays: readonly Stay[];
  readies: readonly Ready[];
  faults: Faults;
  bounds: Bounds;
  violates: Violates;
  conn(id: number): Connection | undefined;
  byClientId(clientId: string): Connection | undefined;
  /** The stays in the same room that the device of a stay requested by other connections. */
  others(stay: Stay): Stay[];
}

export function read(events: readonly Event[], bounds: Bounds, violates: Violates): Story {
  const byId = grouped(events, (event) => ('id' in event ? event.id : null));
  const opened = events.filter((event) => event.kind === 'connected');
  const conns = new Map(
    opened.map((event) => [event.id, new Connection(event, byId.get(event.id) ?? [], violates)]),
  );
  const byClientId = new Map(opened.map(({ clientId, id }) => [clientId, conns.get(id)]));
  const all = [...conns.values()];
  const stays = all.flatMap((conn) => conn.stays);
  const joins = grouped(stays, ({ device, room }) => `${device} ${room}`);
  const readies = all.flatMap((conn) => conn.readies);
  findPartners(readies);
  return {
    events,
    conns: all,
    stays,
    readies,
    faults: new Faults(events, bounds),
    bounds,
    violates,
    conn: (id) => conns.get(id),
    byClientId: (clientId) => byClientId.get(clientId),
    others: (stay) =>
      (joins.get(`${stay.device} ${stay.room}`) ?? []).filter(({ conn }) => conn !== stay.conn),
  };
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
