// One WebSocket of a device: records everything, and answers `room_ready` at once, as a client that negotiates does.
import WebSocket from 'ws';
import { labelOf, messageOf } from './content.js';
import type { Notice, Part } from './history.js';
import type { Address, World } from './world.js';

export interface Identity {
  pair: number;
  part: Part;
  /** Its address in X-Forwarded-For. */
  address: string;
}

/** The outcome of a join, a leave or an opening handshake. */
export type Outcome = 'joined' | 'full' | 'left' | 'error' | 'silence' | 'gone';

/** Time allowed for a join, a leave or the opening handshake; then it tries another server. */
const ANSWER_MS = 3000;
/** A client that receives nothing pings, and gives the connection up if no pong comes. */
const PING_AFTER_MS = 2000;
const PONG_WITHIN_MS = 2500;

const FORWARDED = new Set(['webrtc_offer', 'webrtc_answer', 'ice_candidate', 'key_exchange']);

export class Link {
  readonly conn: number;
  readonly node: number;
  /** The room of its seat, as far as it was told. */
  room: string | null = null;
  hasPeer = false;
  alive = true;
  readonly #world: World;
  readonly #socket: WebSocket;
  readonly #identity: Identity;
  /** Never gives up by itself. Such clients show what a server does with its seats after a pause. */
  readonly #patient: boolean;
  #connected = false;
  #readies = 0;
  #initiator = false;
  #sent = 0;
  #heard = performance.now();
  #pinged: number | undefined;
  #answer: ((outcome: Outcome) => void) | undefined;

  private constructor(world: World, at: Address, identity: Identity, patient: boolean) {
    this.#world = world;
    this.#identity = identity;
    this.#patient = patient;
    this.conn = world.nextConn();
    this.node = at.number;
    this.#socket = new WebSocket(at.url.replace('http', 'ws'), {
      perMessageDeflate: false,
      handshakeTimeout: ANSWER_MS,
      headers: { 'x-forwarded-for': identity.address },
    });
  }

  /** Resolves once the server has sent `connected`; to undefined if it does not in time. */
  static async open(
    world: World,
    at: Address,
    identity: Identity,
    patient: boolean,
  ): Promise<Link | undefined> {
    const link = new Link(world, at, identity, patient);
    const connected = link.#outcome();
    link.#listen();
    if ((await connected) === 'joined') return link;
    link.#socket.terminate();
    return undefined;
  }

  join(room: string, device: string): Promise<Outcome> {
    return this.#ask({ kind: 'asked_join', conn: this.conn, room, device }, () =>
      this.#send({ type: 'join_room', roomId: room, deviceId: device }),
    );
  }

  leave(): Promise<Outcome> {
    return this.#ask({ kind: 'asked_leave', conn: this.conn }, () =>
      this.#send({ type: 'leave_room' }),
    );
  }

  /** Sends the next numbered message, if it has a peer. */
  say(): void {
    const { room } = this;
    if (room === null || !this.hasPeer || !this.alive || this.#answer) return;
    this.#sent += 1;
    const label = {
      conn: this.conn,
      n: this.#sent,
      ready: this.#readies,
      initiator: this.#initiator,
      room,
    };
    this.#world.history.add({ kind: 'sent', ...label });
    this.#send(messageOf(label));
  }

  close(how: 'close' | 'terminate' | 'fade'): void {
    if (!this.alive) return;
    if (this.#connected) this.#world.history.add({ kind: 'gave_up', conn: this.conn, how });
    this.#die();
    if (how === 'close') this.#socket.close(1000);
    else if (how === 'terminate') this.#socket.terminate();
    else this.#socket.pause();
  }

  /** Ends a connection that {@link close} left half-open. */
  destroy(): void {
    this.#socket.terminate();
  }

  /** Pings, and gives up when no pong comes. To be called often. */
  watch(now: number): void {
    if (!this.alive || this.#patient) return;
    if (this.#pinged !== undefined && now - this.#pinged > PONG_WITHIN_MS) {
      this.close('terminate');
    } else if (this.#pinged === undefined && now - this.#heard > PING_AFTER_MS) {
      this.#pinged = now;
      this.#socket.ping();
    }
  }

  #listen(): void {
    this.#socket.on('message', (data) => {
      this.#hear();
      // A client that gave up reads nothing more.
      if (this.alive) this.#read(JSON.parse(String(data)));
    });
    this.#socket.on('pong', () => this.#hear());
    this.#socket.on('close', (code) => {
      if (this.#connected) this.#world.history.add({ kind: 'closed', conn: this.conn, code });
      this.#die();
    });
    // A close follows.
    this.#socket.on('error', () => {});
  }

  #hear(): void {
    this.#heard = performance.now();
    this.#pinged = undefined;
  }

  #die(): void {
    this.alive = false;
    this.hasPeer = false;
    this.room = null;
    this.#answer?.('gone');
  }

  #read(message: Notice & Record<string, unknown>): void {
    const { history, secrets } = this.#world;
    const { type } = message;
    if (FORWARDED.has(type)) {
      const [from, roomId] = [String(message.from), String(message.roomId)];
      history.add({ kind: 'frame', conn: this.conn, from, roomId, label: labelOf(message) });
      return;
    }
    if (type === 'connected') {
      const clientId = secrets.add(String(message.clientId));
      const { pair, part } = this.#identity;
      history.add({ kind: 'connected', conn: this.conn, clientId, node: this.node, pair, part });
      this.#connected = true;
      this.#answer?.('joined');
      return;
    }
    history.add({ kind: 'told', conn: this.conn, notice: noticeOf(message) });
    this.#believe(message);
  }

  #believe({ type, roomId = null, isInitiator, code = '' }: Notice): void {
    switch (type) {
      case 'room_joined':
        if (this.room !== roomId) this.hasPeer = false;
        this.room = roomId;
        this.#answer?.('joined');
        break;
      case 'room_ready':
        this.#readies += 1;
        this.#initiator = isInitiator === true;
        this.hasPeer = true;
        this.say();
        break;
      case 'peer_left':
      case 'peer_disconnected':
        this.hasPeer = false;
        break;
      case 'left_room':
        this.room = null;
        this.hasPeer = false;
        this.#answer?.('left');
        break;
      case 'room_full':
        this.#answer?.('full');
        break;
      case 'error':
        if (!CROSSED.has(code)) this.#answer?.('error');
        break;
    }
  }

  async #ask(
    happening: Parameters<World['history']['add']>[0],
    send: () => void,
  ): Promise<Outcome> {
    if (!this.alive) return 'gone';
    const outcome = this.#outcome();
    this.#world.history.add(happening);
    send();
    return outcome;
  }

  #outcome(): Promise<Outcome> {
    return new Promise((resolve) => {
      const settle = (outcome: Outcome) => {
        clearTimeout(timer);
        this.#answer = undefined;
        resolve(outcome);
      };
      const timer = setTimeout(settle, ANSWER_MS, 'silence');
      this.#answer = settle;
    });
  }

  #send(message: object): void {
    this.#socket.send(JSON.stringify(message), () => {});
  }
}

/** Errors that answer a forwarded message, and not a join or a leave. */
const CROSSED = new Set(['no_peer', 'not_in_room']);

const noticeOf = ({ type, roomId, userCount, ready, isInitiator, code }: Notice): Notice => ({
  type,
  ...(roomId === undefined ? {} : { roomId }),
  ...(userCount === undefined ? {} : { userCount }),
  ...(ready === undefined ? {} : { ready }),
  ...(isInitiator === undefined ? {} : { isInitiator }),
  ...(code === undefined ? {} : { code }),
});
