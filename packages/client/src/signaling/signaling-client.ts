// Implements the WebSocket connection of one device to one room: joins, reconnects, and stops after final errors.
// The protocol: docs/protocol.md §4–7.
import {
  CLIENT_CLOSES,
  type ClientMessage,
  type ErrorMessage,
  type ForwardedMessage,
  type PeerNotified,
  type RoomFull,
  type RoomReady,
  type ServerMessage,
} from '@couplet/protocol';
import { type Clock, systemClock } from '../clock.js';
import { Emitter } from '../emitter.js';
import { CoupletError, closeError, errorOf, refusalError } from '../errors.js';
import { parsed } from '../json.js';
import { reconnectDelayMs } from '../reconnect-policy.js';
import { exceeds } from '../session/outbox.js';

/** The part of the WebSocket API that the client uses. Browsers, React Native and `ws` provide it. */
export interface Socket {
  /** Called when the socket is open. */
  onopen: ((event: never) => void) | null;
  /** Called with an event whose `data` is the text of a message. */
  onmessage: ((event: never) => void) | null;
  /** Called with an event whose `code` is the close code. */
  onclose: ((event: never) => void) | null;
  /** Called before `onclose` if the connection failed. */
  onerror: ((event: never) => void) | null;
  /** Sends a text message. */
  send(data: string): void;
  /** Closes the socket. */
  close(code?: number): void;
}
/** The `WebSocket` class of a platform or a package. */
export type SocketConstructor = new (url: string, protocols?: string[]) => Socket;

/** How to open a socket. */
export interface SocketOptions {
  /** The WebSocket address of the server, without a query: `wss://host/`. */
  url: string;
  /**
   * Returns the subprotocols to offer. Called for each connection.
   *
   * @param isDoubtful whether the previous attempt failed and none has succeeded
   */
  protocols?: ((isDoubtful: boolean) => Promise<string[]>) | undefined;
  WebSocket: SocketConstructor;
}

export interface SignalingClientOptions extends SocketOptions {
  /** Empty: the client opens a connection and joins no room, until another client takes it as `early`. */
  roomId: string;
  deviceId: string;
  /** The secret of the device in this pairing, if it has one. */
  secret?: string | undefined;
  /** A client without a room, which hands over its connection. */
  early?: SignalingClient | undefined;
  clock?: Clock;
  random?: () => number;
}

export type Forwarded = Extract<ServerMessage, { type: ForwardedMessage['type'] }>;

export interface SignalingEvents {
  /** A connection attempt begins. */
  joining: [];
  /** This device is in the room. If the peer is there too, `ready` follows. */
  joined: [];
  /** Both devices are in the room. Emitted the first time, and each time one of them has reconnected. */
  ready: [RoomReady];
  /** A message that the server forwarded from the peer. */
  message: [Forwarded];
  /** A message of the server that needs no reaction: the peer was notified, or a message was refused. */
  'server-message': [PeerNotified | ErrorMessage | RoomFull];
  /** The peer left on purpose. */
  'peer-left': [];
  /** A message is larger than the server accepts. With a message: it was not sent. Without: the server closed for it. */
  'too-big': [ClientMessage?];
  /** The connection is lost. Another attempt follows. */
  down: [];
  /** The connection ended with a final error. No further attempt follows. */
  end: [CoupletError];
}

/** Idle time after which the client sends a ping. Proxies commonly close connections that are idle for a minute. */
const PING_AFTER_MS = 25_000;

/** Time allowed for an answer. */
const ANSWER_WITHIN_MS = 10_000;

/** The same on an earlier connection. Shorter, because the connection may be broken already. */
const REJOIN_WITHIN_MS = 3_000;

export class SignalingClient extends Emitter<SignalingEvents> {
  readonly #options: SignalingClientOptions &
    Required<Pick<SignalingClientOptions, 'clock' | 'random'>>;
  #socket: Socket | undefined;
  /** The socket, once it is open. */
  #open: Socket | null = null;
  #joined = false;
  #attempt = 0;
  #cancelTimer: () => void = () => {};
  #ended = false;
  /** Whether a room was joined before, with this URL and a token. Then no failure to connect is final. */
  #isProven = false;
  /** Largest message that the server accepts, as it announced, or inferred when it closed the connection for a message. */
  #maxBytes = 2 ** 31; // More than any server accepts.
  /** Length of the longest message sent on this connection. */
  #longest = 0;

  constructor(options: SignalingClientOptions) {
    super();
    this.#options = { clock: systemClock, random: Math.random, ...options };
    void this.#connect();
  }

  /**
   * Sends a message if the room is joined and the server accepts its size. Returns whether it was sent. Messages are not
   * queued.
   */
  send(message: ClientMessage): boolean {
    if (!this.#joined) return false;
    const text = JSON.stringify(message);
    if (exceeds(text, this.#maxBytes)) {
      this.emit('too-big', message);
      return false;
    }
    this.#longest = Math.max(this.#longest, text.length);
    this.#socket?.send(text);
    return true;
  }

  /**
   * Requests another `ready`, with fresh ICE servers. It is emitted if the peer is in the room. If the server does not
   * answer soon, the client reconnects.
   */
  rejoin(): void {
    // If the room is not joined, an attempt is in progress or scheduled, and also leads to `ready`.
    if (this.send(this.#join())) this.#dropAfter(REJOIN_WITHIN_MS);
  }

  /** Replaces the connection, which may be dead on the new network. The new connection takes over its seat. */
  reconnect(): void {
    if (this.#ended) return;
    this.#drop();
    // Failures on the old network are irrelevant on the new one.
    this.#attempt = 0;
    void this.#connect();
  }

  /** Leaves the room, closes the connection and stops all work. */
  close(): void {
    if (this.#ended) return;
    this.send({ type: 'leave_room' });
    this.#stop();
  }

  #stop(): void {
    this.#ended = true;
    this.#drop();
    this.clear();
  }

  #join(): ClientMessage {
    const { roomId, deviceId, secret } = this.#options;
    // JSON leaves out a secret that is undefined.
    return { type: 'join_room', roomId, deviceId, secret } as ClientMessage;
  }

  /** Opens a socket: at once without a token, so that the caller can rely on it. */
  async #connect(): Promise<void> {
    this.emit('joining');
    // A listener may have closed the session.
    if (this.#ended) return;
    const { url, roomId, protocols, WebSocket, early } = this.#options;
    let given: Socket | undefined;
    if (early) given = early.#handOver();
    const isOpen = early && given === early.#open;
    this.#dropAfter(isOpen ? REJOIN_WITHIN_MS : ANSWER_WITHIN_MS);
    const timer = this.#cancelTimer;
    try {
      const isDoubtful = this.#attempt > 0 && !this.#isProven;
      const offered = !given && protocols ? await protocols(isDoubtful) : undefined;
      // The attempt was dropped meanwhile.
      if (timer !== this.#cancelTimer) return;
      const hint = roomId && `?r=${roomHint(roomId)}`;
      const socket = given ?? new WebSocket(url + hint, offered);
      this.#socket = socket;
      const onOpen = () => {
        this.#open = socket;
        if (roomId) socket.send(JSON.stringify(this.#join()));
        // A connection without a room may be idle for as long as the server keeps it.
        else this.#cancelTimer();
      };
      socket.onopen = onOpen;
      socket.onmessage = ({ data }: { data: string }) => {
        const message = parsed(data);
        // Ignore anything that is not an object. Unknown types, for newer clients, are ignored in #take.
        if (message) this.#take(message as unknown as ServerMessage);
      };
      // Every error is followed by a close, which is handled below.
      socket.onerror = () => {};
      socket.onclose = ({ code }: { code: number }) => {
        if (code === CLIENT_CLOSES.message_too_big.code) {
          // Do not send a message of that size on the next connection, because the server would close it too.
          if (this.#longest > 0) this.#maxBytes = this.#longest - 1;
          this.emit('too-big');
        }
        this.#lost(closeError(code));
      };
      if (isOpen) {
        this.#maxBytes = early.#maxBytes;
        onOpen();
      }
    } catch (cause) {
      // A malformed URL or mixed content fails every time. If the URL worked before, there is another reason: retry.
      const error = cause instanceof CoupletError ? cause : errorOf('invalid_url', cause);
      // Deferred until the constructor has returned, because there are no listeners before.
      await undefined;
      if (timer === this.#cancelTimer) this.#lost(this.#isProven ? undefined : error);
    }
  }

  /** Stops, and returns the socket, if it has not failed. */
  #handOver(): Socket | undefined {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#stop();
    return socket;
  }

  #take(message: ServerMessage): void {
    if (this.#joined) this.#pingAfterSilence();
    switch (message.type) {
      case 'connected':
        this.#longest = 0;
        this.#maxBytes = Math.min(this.#maxBytes, message.maxMessageBytes ?? this.#maxBytes);
        break;
      case 'room_joined':
        this.#pingAfterSilence();
        if (this.#joined) break;
        this.#joined = this.#isProven = true;
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
        this.emit('message', message);
        break;
      case 'peer_left':
        this.emit('joined');
        this.emit('peer-left');
        break;
      case 'peer_disconnected':
        this.emit('joined');
        break;
      case 'pong':
        // The connection has lasted for a while, so the backoff restarts. A join alone would not be enough.
        this.#attempt = 0;
        break;
      case 'room_full':
      case 'error':
      case 'peer_notified':
        // After the join, an error concerns a single message; the next description replaces it. Nobody is notified before.
        if (this.#joined) this.emit('server-message', message);
        else this.#lost(refusalError(message as ErrorMessage));
        break;
    }
  }

  #lost(error?: CoupletError): void {
    if (this.#ended) return;
    this.#drop();
    if (error) {
      this.emit('end', error);
      this.#stop();
      return;
    }
    this.emit('down');
    if (this.#ended) return;
    const delayMs = reconnectDelayMs(this.#attempt++, this.#options.random());
    this.#after(delayMs, () => this.#connect());
  }

  /** Closes the socket and ignores its later events. */
  #drop(): void {
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    this.#joined = false;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // Browsers report a socket that is closed while it opens as an error. A refused code must not cause one. But an attempt
    // that is too slow is closed, because browsers delay the next one until it ends.
    if (this.#options.roomId || this.#open || !this.#ended) socket.close();
    else socket.onopen = () => socket.close();
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

  /** Sets the timer of this connection, and cancels the previous one. */
  #after(delayMs: number, act: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(delayMs, act);
  }
}

/**
 * Hashes a room id to 16 bits for the WebSocket address, so that a load balancer can route both peers to one node
 * (docs/protocol.md §7). The hash reveals nothing useful about a room id, which has 192 random bits.
 */
export function roomHint(roomId: string): number {
  let hash = 0;
  for (const char of roomId) hash = (hash * 31 + (char.codePointAt(0) as number)) & 0xffff;
  return hash;
}
