// The history of each connection, and its stays in rooms.
import { type Event, grouped } from '../history.js';

/** One requested join and its outcome. */
export interface Stay {
  conn: Connection;
  room: string;
  device: string;
  asked: number;
  /** When the client got `room_joined`; Infinity: never. */
  joined: number;
  /** The server refused it. */
  refused: boolean;
  /** When the client first did something that gives the seat up, or was closed; Infinity: never. */
  released: number;
  /** The server ended it. */
  byServer: boolean;
  /** When the client was told that it has left, by the answer to a leave or to another join. */
  left: number;
}

export interface Connection extends Omit<Event & { kind: 'connected' }, 't' | 'kind'> {
  events: Event[];
  stays: Stay[];
  /** When its client ended it, or was told that it is closed; Infinity: never. */
  ended: number;
  gaveUp: 'close' | 'terminate' | 'fade' | undefined;
  closeCode: number | undefined;
  /** When its client was told that it is closed; Infinity: never. */
  closed: number;
}

const NEVER = Number.POSITIVE_INFINITY;

export class Connections {
  readonly all: readonly Connection[];
  readonly stays: readonly Stay[];
  readonly #byNumber = new Map<number, Connection>();
  readonly #byClientId = new Map<string, Connection>();
  /** Device and room → its joins. */
  readonly #joins: ReadonlyMap<string, Stay[]>;

  constructor(events: readonly Event[]) {
    for (const event of events) {
      if (event.kind === 'connected') {
        const open = { ended: NEVER, closed: NEVER, gaveUp: undefined, closeCode: undefined };
        const connection: Connection = { ...event, events: [], stays: [], ...open };
        this.#byNumber.set(event.conn, connection);
        this.#byClientId.set(event.clientId, connection);
      }
      if ('conn' in event) this.#byNumber.get(event.conn)?.events.push(event);
    }
    this.all = [...this.#byNumber.values()];
    for (const connection of this.all) readStays(connection);
    this.stays = this.all.flatMap(({ stays }) => stays);
    this.#joins = grouped(this.stays, ({ device, room }) => `${device} ${room}`);
  }

  get(conn: number): Connection | undefined {
    return this.#byNumber.get(conn);
  }

  byClientId(clientId: string): Connection | undefined {
    return this.#byClientId.get(clientId);
  }

  /** The stays in the same room that the device of a stay requested by other connections. */
  others(stay: Stay): Stay[] {
    const all = this.#joins.get(`${stay.device} ${stay.room}`) ?? [];
    return all.filter((other) => other.conn !== stay.conn);
  }
}

/** Fills in the stays of a connection, and its end. */
function readStays(conn: Connection): void {
  /** The seat that its client has been told of. */
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
      const { room, device } = event;
      // A client that requests another seat may lose its present one from now on.
      if (seat && seat.room !== room) release(t, false);
      const open = { joined: NEVER, released: NEVER, left: NEVER, refused: false, byServer: false };
      asking = { conn, room, device, asked: t, ...open };
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
          // A repeated join continues the stay.
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
