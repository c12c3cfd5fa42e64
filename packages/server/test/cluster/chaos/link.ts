// One WebSocket of a device: records everything, and answers `room_ready` at once, as a client that negotiates does.
import WebSocket from 'ws';
import type { GivingUp, Happening, Label, Notice, Part } from './history.js';
import type { ServerNode } from './server-node.js';
import { CONTENT_MARK, type World } from './world.js';

export interface Identity {
  pair: number;
  part: Part;
  /** Its address in X-Forwarded-For. */
  address: string;
  /** Never gives up by itself. Such clients show what a server does with its seats after a pause. */
  isPatient?: boolean;
}

type Message = Notice & { from?: unknown; clientId?: unknown; sdp?: unknown; extra?: unknown };

/** Time allowed for a join, a leave or the opening handshake; then it tries another server. */
const ANSWER_MS = 3000;
/** A client that receives nothing pings, and gives the connection up if no pong comes. */
const PING_AFTER_MS = 2000;
const PONG_WITHIN_MS = 2500;

export class Link {
  readonly id: number;
  readonly node: number;
  /** The room of its seat, as far as it was told. */
  room: string | null = null;
  alive = true;
  readonly #world: World;
  readonly #socket: WebSocket;
  readonly #identity: Identity;
  #isConnected = false;
  #hasPeer = false;
  #readies = 0;
  #sent = 0;
  #heard = performance.now();
  #pinged: number | undefined;
  /** Takes whether the present request has succeeded. */
  #answer: ((hasSucceeded: boolean) => void) | undefined;

  private constructor(world: World, at: ServerNode, identity: Identity) {
    this.#world = world;
    this.#identity = identity;
    this.id = world.nextId();
    this.node = at.number;
    this.#socket = new WebSocket(at.url.replace('http', 'ws'), {
      perMessageDeflate: false,
      handshakeTimeout: ANSWER_MS,
      headers: { 'x-forwarded-for': identity.address },
    });
    this.#socket.on('message', (data) => {
      this.#hear();
      // A client that gave up reads nothing more.
      if (this.alive) this.#read(JSON.parse(String(data)));
    });
    this.#socket.on('pong', () => this.#hear());
    this.#socket.on('close', (code) => {
      if (this.#isConnected) world.record({ kind: 'closed', id: this.id, code });
      this.#die();
    });
    // A close follows.
    this.#socket.on('error', () => {});
  }

  /** Resolves once the server has sent `connected`; to undefined if it does not in time. */
  static async open(world: World, at: ServerNode, identity: Identity): Promise<Link | undefined> {
    const link = new Link(world, at, identity);
    if (await link.#outcome()) return link;
    link.#socket.terminate();
    return undefined;
  }

  /** Resolves to whether it has a seat. Without an answer, the connection is closed. */
  join(room: string, device: string): Promise<boolean> {
    const asked = { kind: 'asked_join', id: this.id, room, device } as const;
    return this.#ask(asked, { type: 'join_room', roomId: room, deviceId: device });
  }

  leave(): Promise<boolean> {
    return this.#ask({ kind: 'asked_leave', id: this.id }, { type: 'leave_room' });
  }

  /** Sends the next numbered message, if it has a peer. */
  say(): void {
    const { id, room } = this;
    if (room === null || !this.#hasPeer || !this.alive || this.#answer) return;
    this.#sent += 1;
    const { part } = this.#identity;
    const label = { id, part, n: this.#sent, at: performance.now(), ready: this.#readies, room };
    this.#world.record({ kind: 'sent', ...label });
    this.#send(messageOf(label));
  }

  close(how: GivingUp): void {
    if (!this.alive) return;
    if (this.#isConnected) this.#world.record({ kind: 'gave_up', id: this.id, how });
    this.#die();
    if (how === 'close') this.#socket.close(1000);
    else if (how === 'terminate') this.#socket.terminate();
    else this.#socket.pause();
  }

  /** Ends a connection that {@link close} left half-open. */
  destroy(): void {
    this.close('terminate');
    this.#socket.terminate();
  }

  /** Pings, and gives up when no pong comes. To be called often. */
  watch(now: number): void {
    if (!this.alive || this.#identity.isPatient) return;
    if (this.#pinged !== undefined && now - this.#pinged > PONG_WITHIN_MS) {
      this.close('terminate');
    } else if (this.#pinged === undefined && now - this.#heard > PING_AFTER_MS) {
      this.#pinged = now;
      this.#socket.ping();
    }
  }

  #hear(): void {
    this.#heard = performance.now();
    this.#pinged = undefined;
  }

  #die(): void {
    this.alive = false;
    this.#hasPeer = false;
    this.room = null;
    this.#answer?.(false);
  }

  #read(message: Message): void {
    const { id, node } = this;
    const { type, roomId, isInitiator, code } = message;
    const { pair, part } = this.#identity;
    if (type === 'webrtc_offer') {
      const [from, room] = [String(message.from), String(roomId)];
      const label = labelOf(message);
      this.#world.record({ kind: 'frame', id, from, roomId: room, label });
      if (label) this.#world.recovery.take(pair, part, label, this.#heard);
    } else if (type === 'connected') {
      const clientId = this.#world.secret(message.clientId);
      this.#world.record({ kind: 'connected', id, clientId, node, pair, part });
      this.#isConnected = true;
      this.#answer?.(true);
    } else {
      const notice = { type, roomId, isInitiator, code };
      this.#world.record({ kind: 'told', id, notice });
      this.#believe(notice);
    }
  }

  #believe({ type, roomId = null, code = '' }: Notice): void {
    switch (type) {
      case 'room_joined':
        if (this.room !== roomId) this.#hasPeer = false;
        this.room = roomId;
        this.#answer?.(true);
        break;
      case 'room_ready':
        this.#readies += 1;
        this.#hasPeer = true;
        this.say();
        break;
      case 'peer_left':
      case 'peer_disconnected':
        this.#hasPeer = false;
        break;
      case 'left_room':
        this.room = null;
        this.#hasPeer = false;
        this.#answer?.(true);
        break;
      case 'room_full':
        this.#answer?.(false);
        break;
      case 'error':
        // These answer a forwarded message, and not a join or a leave.
        if (code !== 'no_peer' && code !== 'not_in_room') this.#answer?.(false);
    }
  }

  async #ask(happening: Happening, message: object): Promise<boolean> {
    if (!this.alive) return false;
    const outcome = this.#outcome();
    this.#world.record(happening);
    this.#send(message);
    return outcome;
  }

  #outcome(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.close('terminate'), ANSWER_MS);
      this.#answer = (hasSucceeded) => {
        clearTimeout(timer);
        this.#answer = undefined;
        resolve(hasSucceeded);
      };
    });
  }

  #send(message: object): void {
    this.#socket.send(JSON.stringify(message), () => {});
  }
}

/** Half of the messages have a false sender, a false room and an unknown field; the others take the fast lane. */
function messageOf(label: Label) {
  const more = { from: 'somebody else', roomId: 'another room', extra: 'stays behind' };
  const sdp = CONTENT_MARK + JSON.stringify(label);
  return { type: 'webrtc_offer', sdp, ...(label.n % 2 === 0 ? more : {}) };
}

/** The label of a forwarded message; null if no client sent it. */
function labelOf({ sdp, extra }: Message): Label | null {
  const [, text] = String(sdp).split(CONTENT_MARK);
  return text === undefined || extra !== undefined ? null : JSON.parse(text);
}
