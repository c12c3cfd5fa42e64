// Reads the messages of one connection as a client does: each `room_ready` with its end, and each impossible sequence.
import type { Event, Notice } from '../history.js';
import type { Connection } from './connections.js';
import type { Violation } from './violation.js';

type FrameEvent = Event & { kind: 'frame' };

/** The time from a `room_ready` until the client was told otherwise, or ended it. */
export interface Ready {
  conn: Connection;
  /** Counts from 1. */
  index: number;
  room: string;
  initiator: boolean;
  from: number;
  /** Infinity: it lasts. */
  until: number;
  /** What ended it. */
  end: 'none' | 'peer_left' | 'peer_disconnected' | 'ready_again' | 'itself' | 'closed';
  frames: FrameEvent[];
}

export interface Reading {
  readies: Ready[];
  violations: Violation[];
}

/** Codes that a correct client may get: its message crossed an update, or the engine was unreachable. */
const ERRORS = new Set(['no_peer', 'not_in_room', 'unavailable']);

/** Reads the life of a connection. */
export function read(conn: Connection): Reading {
  const reader = new Reader(conn);
  for (const event of conn.events) reader.take(event);
  return reader;
}

class Reader implements Reading {
  readonly readies: Ready[] = [];
  readonly violations: Violation[] = [];
  readonly #conn: Connection;
  /** Where it sits, as it was told. */
  #room: string | null = null;
  /** The membership that it is in. */
  #ready: Ready | undefined;
  #joinsAsked: string[] = [];
  #leavesAsked = 0;
  /** `room_joined` said that two are in: the `room_ready` of that answer is still to come. */
  #readyDue = false;
  /** A leave or a move was refused: what it still has, it cannot know, and nothing is held against the server. */
  #unsure = false;

  constructor(conn: Connection) {
    this.#conn = conn;
  }

  take(event: Event): void {
    switch (event.kind) {
      case 'asked_join':
        this.#joinsAsked.push(event.room);
        if (this.#room !== null && event.room !== this.#room) this.#end('itself', event.t);
        break;
      case 'asked_leave':
        this.#leavesAsked += 1;
        this.#end('itself', event.t);
        break;
      case 'gave_up':
        this.#end('itself', event.t);
        break;
      case 'closed':
        this.#end('closed', event.t);
        break;
      case 'frame':
        this.#frame(event);
        break;
      case 'told':
        this.#told(event.notice, event.t);
        break;
    }
  }

  #told(notice: Notice, t: number): void {
    switch (notice.type) {
      case 'room_joined':
        this.#joined(notice, t);
        break;
      case 'room_ready':
        this.#becameReady(notice, t);
        break;
      case 'peer_left':
      case 'peer_disconnected':
        if (!this.#ready && !this.#leaving) {
          this.#violates(t, 'told only of a peer that was there', `${notice.type} without a peer`);
        }
        this.#end(notice.type, t);
        break;
      case 'room_full':
        if (this.#joinsAsked.shift() !== notice.roomId) {
          this.#violates(t, 'only answers to what was asked', 'room_full that was not asked for');
        }
        this.#unsure ||= this.#room !== null;
        break;
      case 'left_room':
        this.#left(notice, t);
        break;
      case 'error':
        this.#error(notice, t);
        break;
      case 'pong':
        break;
      default:
        this.#violates(t, 'only documented messages', notice.type);
    }
  }

  /** It asked to go: what it is still told of its peer then, it may not have been told that it has. */
  get #leaving(): boolean {
    const moving = () => this.#joinsAsked.some((room) => room !== this.#room);
    return this.#unsure || this.#leavesAsked > 0 || moving();
  }

  #joined({ roomId, userCount, ready }: Notice, t: number): void {
    if (this.#joinsAsked.shift() !== roomId) {
      this.#violates(
        t,
        'only answers to what was asked',
        `room_joined ${roomId} was not asked for`,
      );
    }
    if (userCount !== (ready ? 2 : 1)) {
      this.#violates(t, 'a room never has three members', `room_joined counts ${userCount}`);
    }
    const same = this.#room === roomId;
    if (!same) this.#end('itself', t);
    else if (this.#ready && !ready) {
      this.#violates(t, 'a peer that goes is announced', 'room_joined counts the peer out');
      this.#end('peer_disconnected', t);
    }
    this.#room = roomId ?? null;
    this.#readyDue = ready === true;
    this.#unsure &&= same;
  }

  #becameReady({ roomId, userCount, isInitiator }: Notice, t: number): void {
    if (roomId !== this.#room || userCount !== 2) {
      const what = `room_ready of ${roomId} for ${userCount}, in ${this.#room}`;
      this.#violates(t, 'room_ready is of the own room, for two', what);
    }
    if (this.#ready && !this.#readyDue && !this.#leaving) {
      const what = 'room_ready, and the peer before had not gone';
      this.#violates(t, 'a peer that goes is announced', what);
    }
    this.#end('ready_again', t);
    this.#readyDue = false;
    this.#ready = {
      conn: this.#conn,
      index: this.readies.length + 1,
      room: roomId ?? '',
      initiator: isInitiator === true,
      from: t,
      until: Number.POSITIVE_INFINITY,
      end: 'none',
      frames: [],
    };
    this.readies.push(this.#ready);
    // Told while its leave is under way: it will not go on with this one.
    if (this.#leaving) this.#end('itself', t);
  }

  #left({ roomId }: Notice, t: number): void {
    if (this.#leavesAsked === 0) {
      this.#violates(t, 'only answers to what was asked', 'left_room without leave_room');
    }
    this.#leavesAsked = Math.max(0, this.#leavesAsked - 1);
    // A seat that was lost meanwhile is answered by null; then the connection is closed.
    if (
      roomId !== this.#room &&
      !(roomId === null && this.#conn.closed < Number.POSITIVE_INFINITY)
    ) {
      this.#violates(t, 'left_room names the own room', `${roomId}, not ${this.#room}`);
    }
    this.#room = null;
    this.#readyDue = false;
  }

  #error({ code = '' }: Notice, t: number): void {
    if (!ERRORS.has(code)) this.#violates(t, 'no error to a right message', code);
    if (code === 'unavailable') {
      const join = this.#joinsAsked.shift();
      if (join === undefined) this.#leavesAsked = Math.max(0, this.#leavesAsked - 1);
      this.#unsure ||= this.#room !== null && join !== this.#room;
    } else if (this.#ready || (code === 'not_in_room' && this.#room !== null && !this.#leaving)) {
      this.#violates(t, 'a peer that goes is announced', `${code}, and it was told of a peer`);
    }
  }

  #frame(event: FrameEvent): void {
    const { t, from, roomId, label } = event;
    if (label === null) {
      this.#violates(t, 'content is forwarded unchanged', `from ${from}`);
      return;
    }
    if (label.room !== roomId || (roomId !== this.#room && !this.#leaving)) {
      const what = `${label.conn}/${label.n} of ${label.room} came as of ${roomId}, in ${this.#room}`;
      this.#violates(t, 'no frame across rooms', what, label.conn);
    }
    if (this.#ready) this.#ready.frames.push(event);
    else if (!this.#leaving) {
      const what = `${label.conn}/${label.n} came to one without a peer`;
      this.#violates(t, 'frames come from the present peer', what, label.conn);
    }
  }

  #end(end: Ready['end'], t: number): void {
    if (this.#ready === undefined) return;
    this.#ready.end = end;
    this.#ready.until = t;
    this.#ready = undefined;
  }

  #violates(t: number, rule: string, what: string, other?: number): void {
    const { conn } = this.#conn;
    this.violations.push({ rule, t, what, conns: other === undefined ? [conn] : [conn, other] });
  }
}

/** Two `room_ready` of the same membership. */
export type Membership = readonly [Ready, Ready];

/** The connection whose frames came in a `room_ready`; undefined: none came. */
export const peerOf = ({ frames }: Ready): number | undefined => frames[0]?.label?.conn;

/**
 * The certain memberships. A frame that was sent in `room_ready` i of X and came in j of Y does not prove that the two belong
 * together: X may not yet have been told of another peer. If a frame of j also came in i, they do: that frame was sent
 * after Y was told of j, and arrived before the next `room_ready` of X. So X was told of i by the change that told Y of j,
 * or i only repeats it after another join, with the same roles.
 */
export function membershipsOf(readies: readonly Ready[]): Membership[] {
  const known = new Map(readies.map((ready) => [`${ready.conn.conn}:${ready.index}`, ready]));
  const senders = new Map(
    readies.map((ready) => [
      ready,
      new Set(ready.frames.map(({ label }) => label && known.get(`${label.conn}:${label.ready}`))),
    ]),
  );
  return readies.flatMap((ready) =>
    [...(senders.get(ready) ?? [])].flatMap((sender): Membership[] => {
      const isMutual = sender && senders.get(sender)?.has(ready);
      return isMutual && sender.conn.conn < ready.conn.conn ? [[sender, ready]] : [];
    }),
  );
}
