// Builds histories by hand, for the tests of the checker.
import type { Event, FaultKind, Happening, Label, Operation, Part } from '../history.js';
import type { Bounds } from '../settings.js';
import { check } from './check.js';

/** Round numbers, so that a test can be just within or just beyond a bound. */
export const BOUNDS: Bounds = {
  settleMs: 1000,
  goneMs: 5000,
  silentMs: 4000,
  recoveryMs: 5000,
  usableMs: 10_000,
};

interface Sender {
  room: string;
  n: number;
  ready: number;
  initiator: boolean;
}

export class Scripted {
  readonly events: Event[] = [];
  #now = 0;
  readonly #senders = new Map<number, Sender>();
  #ops = 0;

  /** Lets time pass, in addition to a millisecond between two events. */
  after(ms: number): this {
    this.#now += ms;
    return this;
  }

  add(happening: Happening): this {
    this.#now += 1;
    this.events.push({ t: this.#now, ...happening });
    return this;
  }

  /** The broken rules that the checker finds, each once. */
  broken(): string[] {
    return [...new Set(check(this.events, BOUNDS).violations.map(({ rule }) => rule))];
  }

  connect(conn: number, node = 0, part: Part = 'creator', pair = 0): this {
    this.#senders.set(conn, { room: '', n: 0, ready: 0, initiator: false });
    return this.add({ kind: 'connected', conn, clientId: `client ${conn}`, node, pair, part });
  }

  asksToJoin(conn: number, room: string, device: string): this {
    return this.add({ kind: 'asked_join', conn, room, device });
  }

  isJoined(conn: number, room: string, userCount: number, isInitiator: boolean): this {
    this.#sender(conn).room = room;
    const notice = { type: 'room_joined', roomId: room, userCount, isInitiator };
    return this.add({ kind: 'told', conn, notice: { ...notice, ready: userCount === 2 } });
  }

  isReady(conn: number, isInitiator: boolean, room = this.#sender(conn).room): this {
    const sender = this.#sender(conn);
    sender.ready += 1;
    sender.initiator = isInitiator;
    const notice = { type: 'room_ready', roomId: room, userCount: 2, isInitiator };
    return this.add({ kind: 'told', conn, notice });
  }

  isTold(conn: number, type: string, fields: { roomId?: string | null; code?: string } = {}): this {
    return this.add({ kind: 'told', conn, notice: { type, ...fields } });
  }

  /** Sends a message that does not arrive. */
  loses(conn: number): this {
    this.says(conn);
    return this;
  }

  /** Sends a numbered message; {@link hears} is its arrival. */
  says(conn: number): Label {
    const sender = this.#sender(conn);
    sender.n += 1;
    const label = { conn, ...sender };
    this.add({ kind: 'sent', ...label });
    return label;
  }

  hears(conn: number, label: Label | null, told: { from?: string; roomId?: string } = {}): this {
    const named = { from: `client ${label?.conn}`, roomId: label?.room ?? '' };
    return this.add({ kind: 'frame', conn, label, ...named, ...told });
  }

  /** A message from one to the other. */
  passes(from: number, to: number): this {
    return this.hears(to, this.says(from));
  }

  givesUp(conn: number, how: 'close' | 'terminate' | 'fade'): this {
    return this.add({ kind: 'gave_up', conn, how });
  }

  isClosed(conn: number, code: number): this {
    return this.add({ kind: 'closed', conn, code });
  }

  begins(what: FaultKind, node: number | null = null): this {
    return this.add({ kind: 'fault', what, id: 1, node, phase: 'begin' });
  }

  ends(what: FaultKind, node: number | null = null): this {
    return this.add({ kind: 'fault', what, id: 1, node, phase: 'end' });
  }

  leaves(conn: number): this {
    return this.add({ kind: 'asked_leave', conn });
  }

  /** Joins alone. */
  comes(
    conn: number,
    device: string,
    node: number,
    initiator = true,
    part: Part = 'creator',
  ): this {
    return this.connect(conn, node, part)
      .asksToJoin(conn, 'room', device)
      .isJoined(conn, 'room', 1, initiator);
  }

  /** Joins as the second, and both are told. */
  meets(conn: number, device: string, node: number, waiter: number, initiator = false): this {
    return this.connect(conn, node, 'acceptor')
      .asksToJoin(conn, 'room', device)
      .isJoined(conn, 'room', 2, initiator)
      .isReady(conn, initiator)
      .isReady(waiter, !initiator);
  }

  /** Sends a REST request that is answered at once. */
  request(what: Operation, device: string, status: number, body?: Record<string, unknown>): this {
    return this.isAnswered(this.asks(what, device), status, body);
  }

  /** Sends a REST request; returns its number. */
  asks(what: Operation, device: string, node = 0, op = ++this.#ops): number {
    this.add({ kind: 'asked', op, what, code: '123456', device, node });
    return op;
  }

  isAnswered(op: number, status: number, body?: Record<string, unknown>): this {
    return this.add({ kind: 'answered', op, status, body });
  }

  #sender(conn: number): Sender {
    return this.#senders.get(conn) as Sender;
  }
}

/** Two peers that have exchanged messages: 1 (device A, node 0, the initiator) and 2 (device B, node 1). */
export const pairOfTwo = (): Scripted =>
  new Scripted().comes(1, 'A', 0).meets(2, 'B', 1, 1).passes(1, 2).passes(2, 1);
