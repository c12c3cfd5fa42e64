// The history by connection: what each WebSocket saw in its life, and its stays in rooms.
import type { Event, Part } from '../history.js';

/** One join that was asked for, and what became of it. */
export interface Stay {
  conn: Connection;
  room: string;
  device: string;
  asked: number;
  /** When the client was told that it sits there; Infinity: never. */
  joined: number;
  /** The server refused it: it never had the seat. */
  refused: boolean;
  /** When it first did something that gives the seat up, or was closed; Infinity: never. */
  released: number;
  /** It was the server that ended it. */
  byServer: boolean;
  /** When the client was told that it sits there no more, by the answer to a leave or another join. */
  left: number;
}

export interface Connection {
  conn: number;
  clientId: string;
  node: number;
  pair: number;
  part: Part;
  events: Event[];
  stays: Stay[];
  /** When its client ended it, or was told that it is closed; Infinity: never. */
  ended: number;
  gaveUp: 'close' | 'terminate' | 'fade' | undefined;
  closeCode: number | undefined;
  /** When it was closed, if it was. */
  closed: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export class Connections {
  readonly all: Connection[] = [];
  readonly #byNumber = new Map<number, Connection>();
  readonly #byClientId = new Map<string, Connection>();
  /** Of each device, when which of its connections asked for a seat. */
  readonly #joins = new Map<string, Stay[]>();

  constructor(events: readonly Event[]) {
    for (const event of events) {
      if (event.kind === 'connected') this.#open(event);
      if ('conn' in event) this.#byNumber.get(event.conn)?.events.push(event);
    }
    for (const connection of this.all) {
      readStays(connection);
      for (const stay of connection.stays) {
        const key = `${stay.device} ${stay.room}`;
        const list = this.#joins.get(key);
        if (list) list.push(stay);
        else this.#joins.set(key, [stay]);
      }
    }
  }

  get(conn: number): Connection | undefined {
    return this.#byNumber.get(conn);
  }

  byClientId(clientId: string): Connection | undefined {
    return this.#byClientId.get(clientId);
  }

  /** The stays in its room that the device of a stay asked for by other connections. */
  others(stay: Stay): Stay[] {
    const all = this.#joins.get(`${stay.device} ${stay.room}`) ?? [];
    return all.filter((other) => other.conn !== stay.conn);
  }

  #open({ conn, clientId, node, pair, part }: Event & { kind: 'connected' }): void {
    const connection: Connection = {
      conn,
      clientId,
      node,
      pair,
      part,
      events: [],
      stays: [],
      ended: NEVER,
      closed: NEVER,
      gaveUp: undefined,
      closeCode: undefined,
    };
    this.all.push(connection);
    this.#byNumber.set(conn, connection);
    this.#byClientId.set(clientId, connection);
  }
}

/** Fills in the stays of a connection, and its end. */
function readStays(conn: Connection): void {
  /** The seat that it has, as far as its client knows. */
  let seat: Stay | undefined;
  let asking: Stay | undefined;
  const release = (t: number, byServer: boolean) => {
    for (const stay of [seat, asking]) {
      if (stay === undefined || stay.released < NEVER) continue;
      stay.released = t;
      stay.byServer = byServer;
    }
  };
  for (const event of conn.events) {
    const { t } = event;
    if (event.kind === 'asked_join') {
      // Who asks for another seat may lose the one it has at any moment from now on.
      if (seat && seat.room !== event.room) release(t, false);
      asking = newStay(conn, event);
      conn.stays.push(asking);
    } else if (event.kind === 'asked_leave') {
      release(t, false);
    } else if (event.kind === 'gave_up') {
      release(t, false);
      conn.gaveUp ??= event.how;
      conn.ended = Math.min(conn.ended, t);
    } else if (event.kind === 'closed') {
      release(t, conn.ended === NEVER);
      conn.closed = t;
      conn.closeCode = event.code;
      conn.ended = Math.min(conn.ended, t);
    } else if (event.kind === 'told') {
      const { type } = event.notice;
      if (type === 'room_joined' && asking) {
        if (seat?.room === asking.room && seat.released === NEVER) {
          // It joined again: the stay goes on.
          conn.stays.splice(conn.stays.indexOf(asking), 1);
        } else {
          if (seat) seat.left = t;
          asking.joined = t;
          seat = asking;
        }
        asking = undefined;
      } else if (type === 'room_full' && asking) {
        asking.refused = true;
        asking = undefined;
      } else if (type === 'left_room') {
        if (seat) seat.left = t;
        seat = undefined;
      }
    }
  }
}

function newStay(conn: Connection, { t, room, device }: Event & { kind: 'asked_join' }): Stay {
  const open = { joined: NEVER, released: NEVER, left: NEVER, refused: false, byServer: false };
  return { conn, room, device, asked: t, ...open };
}
