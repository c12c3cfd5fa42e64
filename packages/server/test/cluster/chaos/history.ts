// The events of all clients and the faults of a run, in one list with one clock: what the checker reads.

/** The label of a numbered message: its sender, and the sender's state. */
export interface Label {
  /** The sender's connection. */
  id: number;
  part: Part;
  /** Counts the messages of this connection, from 1. */
  n: number;
  /** When it was sent. */
  at: number;
  /** Number of `room_ready` messages of the sender on this connection. */
  ready: number;
  room: string;
}

/** The part of a connection: one of the two devices of a pair, or a third device in their room. */
export type Part = 'creator' | 'acceptor' | 'third';

export type Operation = 'create' | 'accept' | 'check' | 'get' | 'purge';

/** Faults of Redis, which disturb every server, with their shortest and longest duration. */
export const REDIS_FAULTS = {
  /** It ends at once and starts again with its data. */
  'redis-restart': [100, 1000],
  /** It ends at once and its replica takes over. */
  failover: [0, 3000],
  /** It is stopped (SIGSTOP) and resumes. */
  'redis-pause': [1000, 8000],
  /** It is stopped for moments repeatedly, like a server with a slow disk. */
  'redis-slow': [2000, 6000],
  /** It refuses operations that need memory. */
  'redis-full': [1000, 6000],
  /** It loses all data. */
  'redis-flush': [0, 0],
  /** It closes all connections but those of subscribers, or only those. */
  'redis-hang-up': [0, 2000],
} as const;

export const NODE_FAULTS = ['kill', 'pause', 'cut', 'stop'] as const;

export type FaultKind =
  | keyof typeof REDIS_FAULTS
  | (typeof NODE_FAULTS)[number]
  /** The event loop of the test stood still: its clients read late, and answered no ping. */
  | 'stall';

export type Body = Record<string, unknown> | undefined;

/** Whether an answer ends a request; after the others, it is repeated. 408: the server was stalled while it arrived. */
export const isFinal = ({ status, body }: { status: number; body: Body }): boolean =>
  ![503, 408, 429].includes(status) && body?.error !== 'request_in_progress';

/** A message of the server itself; only the fields that are checked. */
export interface Notice {
  type: string;
  roomId?: string | null | undefined;
  isInitiator?: boolean | undefined;
  code?: string | undefined;
}

/** How a client ends a connection. `fade`: it reads and answers nothing any more, like a phone out of reach. */
export type GivingUp = 'close' | 'terminate' | 'fade';

/** `id` numbers the WebSockets and the REST requests, in one sequence. */
export type Happening =
  | { kind: 'connected'; id: number; clientId: string; node: number; pair: number; part: Part }
  | { kind: 'asked_join'; id: number; room: string; device: string }
  | { kind: 'asked_leave'; id: number }
  | ({ kind: 'sent' } & Label)
  | { kind: 'told'; id: number; notice: Notice }
  /** `label` is null if no client sent this content. */
  | { kind: 'frame'; id: number; from: string; roomId: string; label: Label | null }
  | { kind: 'gave_up'; id: number; how: GivingUp }
  | { kind: 'closed'; id: number; code: number }
  | { kind: 'asked'; id: number; what: Operation; code: string; device: string; node: number }
  | { kind: 'answered'; id: number; status: number; body: Body }
  /** No answer came, or the client did not wait for it. */
  | { kind: 'lost'; id: number }
  /** One server, or all with `node: null`, is disturbed from `begin` to `end`. */
  | { kind: 'fault'; fault: number; what: FaultKind; node: number | null; phase: 'begin' | 'end' }
  /** The last fault of a round is over. */
  | { kind: 'recovery'; pairs: number }
  /** A server ended by itself. */
  | { kind: 'died'; node: number; how: string }
  /** The log of a server contained identifying data. */
  | { kind: 'leaked'; node: number; line: string };

/** `t` is in milliseconds of one monotonic clock. */
export type Event = { t: number } & Happening;

export type EventOf<K extends Happening['kind']> = Event & { kind: K };

/** The longest times that the servers may take. */
export interface Bounds {
  /** Between servers without a fault, every message and close has arrived. */
  settleMs: number;
  /** A silent client is known to be gone. */
  silentMs: number;
  /** The effects of a fault that has ended may still arrive. */
  recoveryMs: number;
  /** After the last fault, everything is usable again. */
  usableMs: number;
}

export const NEVER = Number.POSITIVE_INFINITY;

export function grouped<T, K>(list: readonly T[], keyOf: (one: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const one of list) {
    const group = groups.get(keyOf(one));
    if (group) group.push(one);
    else groups.set(keyOf(one), [one]);
  }
  return groups;
}

/** Follows a recovery: which pairs have exchanged messages both ways that were sent since it began. */
export class Recovery {
  /** Pair → when the second of the two got its first message. */
  readonly served = new Map<number, number>();
  readonly since: number;
  readonly #heard = new Set<string>();

  constructor(since: number) {
    this.since = since;
  }

  /** Takes a message that arrived at `t`. */
  take(pair: number, to: Part, label: Label, t: number): void {
    if (to === 'third' || label.part === 'third' || label.at < this.since) return;
    this.#heard.add(`${to} ${pair}`);
    const isServed = ['creator', 'acceptor'].every((part) => this.#heard.has(`${part} ${pair}`));
    if (isServed && !this.served.has(pair)) this.served.set(pair, t);
  }
}
