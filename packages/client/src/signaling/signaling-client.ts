// The WebSocket session of one device in one room: joins, comes back after every blink, knows when not to. docs/protocol.md §4–7.
import {
  CLIENT_CLOSES,
  type ClientMessage,
  type ForwardedMessage,
  type RoomReady,
  type ServerMessage,
} from '@couplet/protocol';
import { type Clock, systemClock } from '../clock.js';
import { Emitter } from '../emitter.js';
import { CoupletError } from '../errors.js';
import { isRecord, parsed } from '../json.js';
import { reconnectDelayMs } from '../reconnect-policy.js';
import { exceeds } from '../session/outbox.js';

/** What is needed of a WebSocket: the browser's, React Native's and that of `ws` have it. */
export interface Socket {
  /** Called once it is open. */
  onopen: ((event: never) => void) | null;
  /** Called with an event whose `data` is the text of a message. */
  onmessage: ((event: never) => void) | null;
  /** Called with an event whose `code` is the close code. */
  onclose: ((event: never) => void) | null;
  /** Called before `onclose` where it failed. */
  onerror: ((event: never) => void) | null;
  /** Sends a text. */
  send(data: string): void;
  /** Closes it. */
  close(code?: number): void;
}
/** A class of WebSockets. */
export type SocketConstructor = new (url: string) => Socket;

export interface SignalingClientOptions {
  /** Of the server, for WebSocket and without a query: `wss://host/`. */
  url: string;
  roomId: string;
  deviceId: string;
  /** The secret of the device in this pairing, if it has one. */
  secret?: string | undefined;
  WebSocket: SocketConstructor;
  clock?: Clock;
  random?: () => number;
}

export type Forwarded = Extract<ServerMessage, { type: ForwardedMessage['type'] }>;

export interface SignalingEvents {
  /** An attempt begins. */
  joining: [];
  /** This device is in the room, and alone: `ready` follows where it is not. */
  joined: [];
  /** Both devices are in the room: the first time, and whenever one of them has come back. */
  ready: [RoomReady];
  /** What the peer sent. */
  forwarded: [Forwarded];
  /** The peer left on purpose. */
  'peer-left': [];
  /** A message is larger than the server takes: it was not sent, or, without an argument, the server closed for it. */
  'too-big': [ClientMessage?];
  /** The connection is gone; another attempt follows. */
  down: [];
  /** It is over, and there will be no further attempt. */
  end: [CoupletError];
}

/** Silence after which the server is asked for a sign of life. Proxies commonly cut connections idle for a minute. */
const PING_AFTER_MS = 25_000;

/** How long an answer may take. */
const ANSWER_WITHIN_MS = 10_000;

/** How long it may take where the path to the peer is lost: whatever took it may have taken this one too, without a word. */
const SIGN_OF_LIFE_WITHIN_MS = 3_000;

export class SignalingClient extends Emitter<SignalingEvents> {
  readonly #options: SignalingClientOptions &
    Required<Pick<SignalingClientOptions, 'clock' | 'random'>>;
  #socket: Socket | undefined;
  #joined = false;
  #attempt = 0;
  #cancelTimer: () => void = () => {};
  #ended = false;
  /** Whether the platform has taken the URL before. */
  #isUrlTaken = false;
  /** Largest message that the server takes, as it says, and as it has shown by a close. */
  #maxBytes = Number.POSITIVE_INFINITY;
  #provenMaxBytes = Number.POSITIVE_INFINITY;
  /** Length of the longest message on this connection. */
  #longest = 0;

  constructor(options: SignalingClientOptions) {
    super();
    this.#options = { clock: systemClock, random: Math.random, ...options };
    this.#connect();
  }

  /**
   * Sends a message if the room is joined and the server takes a message of its size; returns whether it went out.
   * Nothing is kept for later.
   */
  send(message: ClientMessage): boolean {
    if (!this.#joined) return false;
    const text = JSON.stringify(message);
    if (exceeds(text, Math.min(this.#maxBytes, this.#provenMaxBytes))) {
      this.emit('too-big', message);
      return false;
    }
    this.#longest = Math.max(this.#longest, text.length);
    this.#socket?.send(text);
    return true;
  }

  /**
   * Asks for `ready` once more, with fresh ICE servers: it comes where the peer is there too. Where no answer comes soon,
   * it comes back by a new connection.
   */
  rejoin(): void {
    // Where the room is not joined, an attempt is under way or will be, and ends in the same.
    if (this.send(this.#join())) this.#dropAfter(SIGN_OF_LIFE_WITHIN_MS);
  }

  /** Leaves the connection, which may be dead on the new network, for a new one that takes its seat over. */
  reconnect(): void {
    if (this.#ended) return;
    this.#drop();
    // How often the network before failed says nothing about this one.
    this.#attempt = 0;
    this.#connect();
  }

  /** Leaves the room and the server. Nothing runs on. */
  close(): void {
    if (this.#ended) return;
    this.send({ type: 'leave_room' });
    this.#stop();
  }

  #stop(): void {
    this.#ended = true;
    this.#drop();
    this.forgetListeners();
  }

  #join(): ClientMessage {
    const { roomId, deviceId, secret } = this.#options;
    return { type: 'join_room', roomId, deviceId, ...(secret && { secret }) };
  }

  #connect(): void {
    this.emit('joining');
    // A listener may have closed the session.
    if (this.#ended) return;
    const { url, roomId, WebSocket } = this.#options;
    let socket: Socket;
    try {
      socket = new WebSocket(`${url}?r=${roomHint(roomId)}`);
    } catch (cause) {
      // A malformed URL or mixed content would be refused every time. After a success the reason is another one.
      const error = new CoupletError('invalid_url', { message: String(cause), cause });
      // The constructor of this client has to return first: nobody listens yet.
      queueMicrotask(() => this.#lost(this.#isUrlTaken ? undefined : error));
      return;
    }
    this.#isUrlTaken = true;
    this.#socket = socket;
    this.#dropAfter(ANSWER_WITHIN_MS);
    socket.onopen = () => socket.send(JSON.stringify(this.#join()));
    socket.onmessage = ({ data }: { data: string }) => {
      const message = parsed(data);
      // Anything else is not of this protocol. Unknown types are for newer clients.
      if (isRecord(message)) this.#take(message as unknown as ServerMessage);
    };
    // A close follows every error, and is what counts.
    socket.onerror = () => {};
    socket.onclose = ({ code }: { code: number }) => {
      if (code === CLIENT_CLOSES.message_too_big.code) {
        // Not to be sent again on the next connection, which would meet the same fate.
        if (this.#longest > 0) this.#provenMaxBytes = this.#longest - 1;
        this.emit('too-big');
      }
      this.#lost(CoupletError.ofClose(code));
    };
  }

  #take(message: ServerMessage): void {
    if (this.#joined) this.#pingAfterSilence();
    switch (message.type) {
      case 'connected':
        this.#longest = 0;
        this.#maxBytes = message.maxMessageBytes ?? Number.POSITIVE_INFINITY;
        break;
      case 'room_joined':
        this.#pingAfterSilence();
        if (this.#joined) break;
        this.#joined = true;
        this.emit('joined');
        break;
      case 'room_ready':
        this.emit('ready', message);
        break;
      case 'webrtc_offer':
      case 'webrtc_answer':
      case 'ice_candidate':
      case 'key_exchange':
      case 'key_exchange_complete':
        this.emit('forwarded', message);
        break;
      case 'peer_left':
        this.emit('joined');
        this.emit('peer-left');
        break;
      case 'peer_disconnected':
        this.emit('joined');
        break;
      case 'pong':
        // Only a connection that has held for a while is a reason to try the next one sooner.
        this.#attempt = 0;
        break;
      case 'room_full':
      case 'error':
        // An error after the join is about one message: the next description makes up for it.
        if (!this.#joined) this.#lost(CoupletError.ofRefusal(message.code, message.error));
        break;
    }
  }

  #lost(error?: CoupletError): void {
    if (this.#ended) return;
    this.#drop();
    if (error !== undefined) {
      this.emit('end', error);
      this.#stop();
      return;
    }
    this.emit('down');
    if (this.#ended) return;
    const delayMs = reconnectDelayMs(this.#attempt++, this.#options.random());
    this.#after(delayMs, () => this.#connect());
  }

  /** Lets go of the socket, whatever it is doing: nothing it does from now on is heard. */
  #drop(): void {
    this.#cancelTimer();
    this.#joined = false;
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #pingAfterSilence(): void {
    this.#after(PING_AFTER_MS, () => {
      this.send({ type: 'ping' });
      this.#dropAfter(ANSWER_WITHIN_MS);
    });
  }

  #dropAfter(delayMs: number): void {
    this.#after(delayMs, () => this.#lost());
  }

  /** Sets the one timer, in the place of what it was set to. */
  #after(delayMs: number, act: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(delayMs, act);
  }
}

/**
 * The hash of a room id in the address of its WebSockets: 16 bits, by which a load balancer can send both members to one
 * node (docs/protocol.md §7). They tell nothing usable of a room id, which has 192 random bits.
 */
export function roomHint(roomId: string): number {
  let hash = 0;
  for (const char of roomId) hash = (hash * 31 + (char.codePointAt(0) as number)) & 0xffff;
  return hash;
}
