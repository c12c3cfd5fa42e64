// Implements a signaling WebSocket to the tested server that sends messages and receives them by type.
import type {
  ClientMessage,
  ServerMessage,
  ServerMessageType,
  SignalingErrorCode,
} from '@couplet/protocol';
import WebSocket, { type ClientOptions } from 'ws';
import { orAborted } from './check.js';
import { objectIn } from './http-call.js';
import { ANY_ORIGIN, type Site } from './site.js';

/** The opening handshake was not answered with 101. */
export class UpgradeRefused extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`upgrade answered ${status}`);
    this.status = status;
  }
}

/** The server answered a message with `error` or `room_full`. */
export class MessageRefused extends Error {
  readonly code: SignalingErrorCode;
  constructor(code: SignalingErrorCode) {
    super(`refused: ${code}`);
    this.code = code;
  }
}

/** The connection was closed. */
export class SocketClosed extends Error {
  readonly closeCode: number;
  constructor(closeCode: number) {
    super(`closed with ${closeCode}`);
    this.closeCode = closeCode;
  }
}

/** Maximum number of queued messages. A Couplet server does not send more. */
const MOST_RECEIVED = 256;
const MAX_MESSAGE_BYTES = 1_048_576;

export class SignalingSocket {
  readonly #socket: WebSocket;
  readonly #signal: AbortSignal;
  readonly #received: ServerMessage[] = [];
  #end: Error | undefined;
  #wake: () => void = () => {};
  clientId = '';

  private constructor(site: Site, signal: AbortSignal) {
    const options: ClientOptions = { maxPayload: MAX_MESSAGE_BYTES };
    // Without an explicit origin, connect like an app that is not a page. The CORS check tests pages.
    if (site.origin !== ANY_ORIGIN) options.origin = site.origin;
    if (site.ca) options.ca = site.ca;
    this.#socket = new WebSocket(`${site.wsBase}/`, options);
    this.#signal = signal;
    signal.addEventListener('abort', () => this.close(), { once: true });
    this.#socket.on('message', (data) => {
      if (this.#received.length >= MOST_RECEIVED) return this.close();
      const message = objectIn(data.toString());
      if (message) this.#received.push(message as unknown as ServerMessage);
      this.#wake();
    });
    this.#socket.once('unexpected-response', (request, response) => {
      request.destroy();
      this.#ended(new UpgradeRefused(response.statusCode ?? 0));
    });
    this.#socket.on('error', (error) => this.#ended(error));
    this.#socket.on('close', (code) => this.#ended(new SocketClosed(code)));
  }

  /** Connects and waits for `connected`. The caller must close the socket. */
  static async open(site: Site, signal: AbortSignal): Promise<SignalingSocket> {
    const socket = new SignalingSocket(site, signal);
    try {
      socket.clientId = (await socket.next('connected')).clientId;
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  send(message: ClientMessage): void {
    if (this.#end === undefined) this.#socket.send(JSON.stringify(message));
  }

  /** Resolves to the next message of this type and skips others. Rejects on a refusal. */
  async next<Type extends ServerMessageType>(
    type: Type,
  ): Promise<Extract<ServerMessage, { type: Type }>> {
    for (;;) {
      const message = this.#received.shift();
      if (message?.type === type) return message as Extract<ServerMessage, { type: Type }>;
      if (message?.type === 'error' || message?.type === 'room_full')
        throw new MessageRefused(message.code);
      if (message !== undefined) continue;
      if (this.#end) throw this.#end;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await orAborted(this.#signal, woken);
    }
  }

  close(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(1000);
    else this.#socket.terminate();
    this.#ended(new SocketClosed(1000));
    // Do not wait for the answer to the close frame.
    const { terminate } = this.#socket;
    setImmediate(() => terminate.call(this.#socket));
  }

  #ended(cause: Error): void {
    this.#end ??= cause;
    this.#wake();
  }
}
