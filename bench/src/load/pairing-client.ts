// One client that pairs with itself: create, check (still waiting), accept, check (the room). Checks every answer.
import {
  acceptRequest,
  addressOf,
  checkRequest,
  createRequest,
  type RequestTemplate,
} from '../wire/pairing-requests.js';
import type { HttpSocket } from './http-socket.js';

/** One request of a flow, and its expected answer. */
interface Step {
  request: RequestTemplate;
  status: number;
  /** Whether the answer contains the room, which must be the same in the whole flow. */
  room: boolean;
  /** The device that sends the request. */
  device?: 'second';
}

export type FlowName = 'pairing' | 'no-op';

export const FLOWS: Record<FlowName, (port: number, client: number) => Step[]> = {
  pairing: (port, client) => {
    const from = addressOf(client);
    return [
      { request: createRequest(port, from), status: 201, room: false },
      { request: checkRequest(port, from), status: 204, room: false },
      { request: acceptRequest(port, from), status: 200, room: true, device: 'second' },
      { request: checkRequest(port, from), status: 200, room: true },
    ];
  },
  'no-op': (port, client) => [
    { request: acceptRequest(port, addressOf(client), '/no-op'), status: 200, room: true },
  ],
};

const ROOM = '{"roomid":"';
const ROOM_DIGITS = 48;

export interface PairingEvents {
  /** An answer, and its time in milliseconds. */
  onAnswer: (ms: number) => void;
  /** The end of a flow, after which a client may start the next one. */
  onFlow: (client: PairingClient, ms: number) => void;
  /** A wrong answer, which ends the flow. */
  onFault: (fault: string) => void;
}

export class PairingClient {
  readonly #first: HttpSocket;
  readonly #second: HttpSocket;
  readonly #steps: Step[];
  readonly #events: PairingEvents;
  readonly #room = Buffer.alloc(ROOM_DIGITS);
  #step = 0;
  #code = 0;
  #device = 0;
  #startedAt = 0;
  #askedAt = 0;
  #rooms = 0;

  /** @param sockets - of the first and the second device; with one, both use it */
  constructor(sockets: readonly HttpSocket[], steps: Step[], events: PairingEvents) {
    this.#first = sockets[0] as HttpSocket;
    this.#second = sockets[1] ?? this.#first;
    this.#steps = steps;
    this.#events = events;
    for (const socket of sockets) {
      socket.onAnswer = (status, buffer, from, to) => this.#take(status, buffer, from, to);
      socket.onClose = () => events.onFault('a connection was closed');
    }
  }

  start(flow: number): void {
    this.#code = flow % 1_000_000;
    this.#device = flow;
    this.#step = 0;
    this.#rooms = 0;
    this.#startedAt = performance.now();
    this.#ask(this.#startedAt);
  }

  #ask(now: number): void {
    this.#askedAt = now;
    const { request, device } = this.#steps[this.#step] as Step;
    const socket = device === 'second' ? this.#second : this.#first;
    socket.send(request.fill(this.#code, this.#device));
  }

  #take(status: number, buffer: Buffer, from: number, to: number): void {
    const now = performance.now();
    const { status: right, room } = this.#steps[this.#step] as Step;
    this.#events.onAnswer(now - this.#askedAt);
    const isRight = status === right && (!room || this.#isRoom(buffer, from, to));
    if (!isRight) {
      const body = buffer.toString('latin1', from, Math.min(to, from + 200));
      this.#events.onFault(`step ${this.#step + 1}: ${status} ${body}`);
    }
    this.#step += 1;
    if (isRight && this.#step < this.#steps.length) this.#ask(now);
    else this.#events.onFlow(this, now - this.#startedAt);
  }

  #isRoom(buffer: Buffer, from: number, to: number): boolean {
    const start = from + ROOM.length;
    if (to - start < ROOM_DIGITS) return false;
    this.#rooms += 1;
    if (this.#rooms === 1) {
      buffer.copy(this.#room, 0, start, start + ROOM_DIGITS);
      return true;
    }
    return this.#room.compare(buffer, start, start + ROOM_DIGITS) === 0;
  }
}
