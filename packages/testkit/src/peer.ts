// The test's end of a WebSocket: reads messages one by one, and never sleeps.
import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { json } from 'node:stream/consumers';
import type { ServerMessage } from '@couplet/protocol';
import { onTestFinished } from 'vitest';
import WebSocket, { type ClientOptions } from 'ws';

/** A received message, with every field that a test may read. */
export type Received = { type: ServerMessage['type'] } & Record<string, unknown>;

const texts = new WeakMap<Received, string>();

/** A message in its original text. */
export const textOf = (message: Received): string => texts.get(message) ?? '';

export interface Closed {
  code: number;
  reason: string;
}

/** The HTTP answer that refuses an opening handshake. */
export interface Refusal {
  status: number;
  headers: IncomingHttpHeaders;
  body: unknown;
}

/** Tries to open a WebSocket; rejects if it opens. */
export function refusedHandshake(wsUrl: string, headers: ClientOptions['headers'] = {}) {
  const socket = new WebSocket(wsUrl, { headers });
  return new Promise<Refusal>((resolve, reject) => {
    socket.on('open', () => {
      socket.terminate();
      reject(new Error('the WebSocket was opened'));
    });
    socket.on('error', () => {});
    socket.on('unexpected-response', async (_request, response) => {
      const { statusCode: status = 0, headers } = response;
      resolve({ status, headers, body: await json(response) });
    });
  });
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

  /** Connects and reads `connected`; the connection is closed when the test ends. */
  static async connect(wsUrl: string, options: ClientOptions = {}): Promise<Peer> {
    const socket = new WebSocket(wsUrl, options);
    onTestFinished(() => socket.terminate());
    return Peer.#connected(socket);
  }

  /** Connects for a caller that closes the connection itself, for tests with thousands of connections. */
  static open(wsUrl: string, options: ClientOptions = {}): Promise<Peer> {
    return Peer.#connected(new WebSocket(wsUrl, options));
  }

  static async #connected(socket: WebSocket): Promise<Peer> {
    const peer = new Peer(socket);
    const connected = await peer.next('connected');
    peer.clientId = connected.clientId as string;
    return peer;
  }

  /** Sends a message, or a string unchanged. */
  send(message: object | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next message; with `type`, it must be of that type. */
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

  /** Every message that the server has sent so far: sends `ping`, and returns the messages before its `pong`. */
  async sync(): Promise<Received[]> {
    this.send({ type: 'ping' });
    const before: Received[] = [];
    for (;;) {
      const message = await this.next();
      if (message.type === 'pong') return before;
      before.push(message);
    }
  }

  /** The same as `sync`, by a ping frame (RFC 6455 §5.5.2). */
  async syncByFrame(): Promise<Received[]> {
    const pong = once(this.socket, 'pong');
    this.socket.ping();
    await pong;
    return this.#received.splice(0);
  }

  /** Joins a room and reads `room_joined`. */
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

/** Two peers in one room, with every message of the joins read. The first is the initiator. */
export async function pairOfPeers(wsUrl: string, roomId: string): Promise<[Peer, Peer]> {
  const first = await Peer.connect(wsUrl);
  await first.join(roomId);
  const second = await Peer.connect(wsUrl);
  await second.join(roomId);
  await second.next('room_ready');
  await first.next('room_ready');
  return [first, second];
}

/** Numbered messages that a pair exchanges, one after the other. */
export interface Exchange {
  exchanged: number;
  /** The longest time for a message and its answer. */
  worstMs(): number;
  /** Ends the exchange; rejects if a message was lost, doubled, reordered or altered, or a connection was closed. */
  stop(): Promise<void>;
}

/** Exchanges messages until it is stopped. @param paceMs - time between two exchanges, within the rate limit of a connection */
export function exchangeMessages([first, second]: [Peer, Peer], paceMs = 25): Exchange {
  let isOver = false;
  let worstMs = 0;
  let start = performance.now();
  const exchange = { exchanged: 0, worstMs: () => worstMs };
  const run = async () => {
    while (!isOver) {
      start = performance.now();
      const sdp = String(exchange.exchanged);
      first.send({ type: 'webrtc_offer', sdp });
      const offer = await second.next('webrtc_offer');
      second.send({ type: 'webrtc_answer', sdp: offer.sdp });
      const answer = await first.next('webrtc_answer');
      if (answer.sdp !== sdp) throw new Error(`sent ${sdp}, got ${answer.sdp}`);
      exchange.exchanged += 1;
      worstMs = Math.max(worstMs, performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, paceMs));
    }
  };
  const ended = run();
  // It is reported when the exchange is stopped.
  ended.catch(() => {});
  return Object.assign(exchange, {
    async stop() {
      isOver = true;
      await ended;
    },
  });
}
