// The test's end of a WebSocket: takes messages one by one, and never sleeps.
import { once } from 'node:events';
import type { ServerMessage } from '@couplet/protocol';
import { onTestFinished } from 'vitest';
import WebSocket, { type ClientOptions } from 'ws';

/** A message as it came, with every field a test may look at. */
export type Received = { type: ServerMessage['type'] } & Record<string, unknown>;

const texts = new WeakMap<Received, string>();

/** A message as it was spelled on the wire. */
export const textOf = (message: Received): string => texts.get(message) ?? '';

export interface Closed {
  code: number;
  reason: string;
}

export class Peer {
  readonly socket: WebSocket;
  /** `clientId` that the server gave this connection. */
  clientId = '';
  readonly closed: Promise<Closed>;
  readonly #received: Received[] = [];
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => {
      const message: Received = JSON.parse(data.toString());
      texts.set(message, data.toString());
      this.#received.push(message);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#wake();
      });
    });
    socket.on('error', () => this.#wake());
  }

  /** Connects and takes `connected`; the connection is dropped when the test ends. */
  static async connect(wsUrl: string, options: ClientOptions = {}): Promise<Peer> {
    const socket = new WebSocket(wsUrl, options);
    onTestFinished(() => socket.terminate());
    return Peer.#connected(socket);
  }

  /** The same for a caller that closes the connection itself: of thousands in one test none is kept. */
  static open(wsUrl: string, options: ClientOptions = {}): Promise<Peer> {
    return Peer.#connected(new WebSocket(wsUrl, options));
  }

  static async #connected(socket: WebSocket): Promise<Peer> {
    const peer = new Peer(socket);
    const connected = await peer.next('connected');
    peer.clientId = connected.clientId as string;
    return peer;
  }

  /** Sends a message, or a string as it is. */
  send(message: object | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next message, whatever it is; with `type`, it must be of that type. */
  async next(type?: ServerMessage['type']): Promise<Received> {
    while (this.#received.length === 0) {
      if (this.socket.readyState >= WebSocket.CLOSING)
        throw new Error(`closed, no ${type ?? 'message'} came`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#received.shift() as Received;
    if (type !== undefined && message.type !== type) {
      throw new Error(`expected ${type}, got ${JSON.stringify(message)}`);
    }
    return message;
  }

  /** Everything that the server had to say up to now: sends `ping` and takes what comes before its `pong`. */
  async sync(): Promise<Received[]> {
    this.send({ type: 'ping' });
    const before: Received[] = [];
    for (;;) {
      const message = await this.next();
      if (message.type === 'pong') return before;
      before.push(message);
    }
  }

  /** The same by a ping frame (RFC 6455 §5.5.2), which no client that lacks the message `ping` can do without. */
  async syncByFrame(): Promise<Received[]> {
    const pong = once(this.socket, 'pong');
    this.socket.ping();
    await pong;
    return this.#received.splice(0);
  }

  /** Joins a room and takes `room_joined`. */
  async join(roomId: string, deviceId?: string): Promise<Received> {
    this.send({ type: 'join_room', roomId, ...(deviceId === undefined ? {} : { deviceId }) });
    return this.next('room_joined');
  }

  /** Closes the connection and waits until it is closed. */
  async close(code = 1000): Promise<void> {
    this.socket.close(code);
    await this.closed;
  }
}

/** Two peers that share a room, with every message of the join taken. The first is the initiator. */
export async function pairOfPeers(wsUrl: string, roomId: string): Promise<[Peer, Peer]> {
  const first = await Peer.connect(wsUrl);
  await first.join(roomId);
  const second = await Peer.connect(wsUrl);
  await second.join(roomId);
  await second.next('room_ready');
  await first.next('room_ready');
  return [first, second];
}
