// Records the events of all clients and the faults of the servers in one list with one clock, for the checker.

/** The label of a numbered message: its sender, and the sender's state. */
export interface Label {
  conn: number;
  /** Counts the messages of this connection, from 1. */
  n: number;
  /** Number of `room_ready` messages of the sender on this connection. */
  ready: number;
  /** The role in the last of them. */
  initiator: boolean;
  room: string;
}

/** The part of a connection: one of the two devices of a pair, a third device in their room, or one of a burst. */
export type Part = 'creator' | 'acceptor' | 'third' | 'crowd';

/** Whether it is one of the two devices of a pair. */
export const isOfPair = ({ part }: { part: Part }): boolean =>
  part === 'creator' || part === 'acceptor';

export type Operation = 'create' | 'accept' | 'check' | 'get' | 'purge';

/** Faults of Redis, which disturb every server. */
export const ENGINE_FAULTS = [
  /** It ends at once and starts again with its data. */
  'redis-restart',
  /** It ends at once and its replica takes over. */
  'failover',
  /** It is stopped (SIGSTOP) and resumes. */
  'redis-pause',
  /** It is stopped for moments repeatedly, like a server with a slow disk. */
  'redis-slow',
  /** It refuses operations that need memory. */
  'redis-full',
  /** It loses all data. */
  'redis-flush',
  /** It closes all connections but those of subscribers, or only those. */
  'redis-hang-up',
] as const;

export type EngineFault = (typeof ENGINE_FAULTS)[number];

export type FaultKind =
  | 'kill'
  | 'stop'
  | 'pause'
  | 'cut'
  | EngineFault
  /** Thousands join one room at once. */
  | 'burst'
  /** The event loop of the test stood still: its clients read late, and answered no ping. */
  | 'stall';

/** A message of the server itself; only the fields that are checked. */
export interface Notice {
  type: string;
  roomId?: string | null;
  userCount?: number;
  ready?: boolean;
  isInitiator?: boolean;
  code?: string;
}

/** `conn` numbers the WebSockets, `op` the REST requests. */
export type Happening =
  | { kind: 'connected'; conn: number; clientId: string; node: number; pair: number; part: Part }
  | { kind: 'asked_join'; conn: number; room: string; device: string }
  | { kind: 'asked_leave'; conn: number }
  | ({ kind: 'sent' } & Label)
  | { kind: 'told'; conn: number; notice: Notice }
  /** `label` is null if no client sent this content. */
  | { kind: 'frame'; conn: number; from: string; roomId: string; label: Label | null }
  /** The client ended it; `fade`: it reads and answers nothing any more, like a phone out of reach. */
  | { kind: 'gave_up'; conn: number; how: 'close' | 'terminate' | 'fade' }
  | { kind: 'closed'; conn: number; code: number }
  | { kind: 'asked'; op: number; what: Operation; code: string; device: string; node: number }
  | { kind: 'answered'; op: number; status: number; body: Record<string, unknown> | undefined }
  /** No answer came, or the client did not wait for it. */
  | { kind: 'lost'; op: number }
  /** One server, or all with `node: null`, is disturbed from `begin` to `end`. */
  | { kind: 'fault'; id: number; what: FaultKind; node: number | null; phase: 'begin' | 'end' }
  /** The last fault of a round is over. */
  | { kind: 'recovery'; pairs: number }
  /** A server ended by itself. */
  | { kind: 'died'; node: number; how: string }
  /** The log of a server contained identifying data. */
  | { kind: 'leaked'; node: number; line: string };

/** `t` is in milliseconds of one monotonic clock. */
export type Event = { t: number } & Happening;

export class History {
  readonly events: Event[] = [];
  readonly #parts = new Map<number, { pair: number; part: Part }>();

  /** @param t - earlier than now for an event that is only known afterwards */
  add(happening: Happening, t = performance.now()): void {
    this.events.push({ t, ...happening });
    if (happening.kind === 'connected') this.#parts.set(happening.conn, happening);
  }

  /** The pair and part of a connection. */
  whoIs(conn: number): { pair: number; part: Part } | undefined {
    return this.#parts.get(conn);
  }
}

export function grouped<T>(list: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of list) {
    const group = groups.get(keyOf(one));
    if (group) group.push(one);
    else groups.set(keyOf(one), [one]);
  }
  return groups;
}
