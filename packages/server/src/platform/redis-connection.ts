// The door of @redis/client: one connection to one server, which ends with its first fault. Reconnecting is its owner's.
//
// Of the library we use the protocol (RESP3, AUTH, TLS, pipelining) and nothing else. Its own Cluster and Sentinel
// clients, its reconnecting and its timeouts do not keep what we promise: ARCHITECTURE.md, Decisions.
import { isIP } from 'node:net';
import { createClient, ErrorReply } from '@redis/client';
import { Unavailable } from './http-errors.js';
import type { RedisAddress, RedisCredentials } from './redis-url.js';

/** A word of a command. */
export type RedisArgument = string | Buffer;

export interface ConnectionOptions {
  readonly credentials: RedisCredentials;
  readonly database: number;
  readonly tls: boolean;
  /** How long anything may take that a server is asked for, connecting included, in milliseconds. */
  readonly timeoutMs: number;
}

/** Commands of one connection without an answer; further ones are refused. */
const MAX_UNANSWERED = 50_000;

/** A server's answer that is an error: nothing was done, as a rule. */
export class RedisReplyError extends Error {
  /** First word of the error: `OOM`, `MOVED`, `NOSCRIPT`. */
  readonly code: string;
  constructor(message: string) {
    super(message);
    this.name = 'RedisReplyError';
    this.code = message.split(' ', 1)[0] as string;
  }
}

/** The few things that we ask of the library. */
interface Client {
  connect(): Promise<unknown>;
  sendCommand(args: readonly RedisArgument[]): Promise<unknown>;
  sSubscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  on(event: string, listener: (cause: Error) => void): unknown;
  destroy(): void;
}

export class RedisConnection {
  readonly address: RedisAddress;
  /** Resolves, with the reason, when the connection has ended; never rejects. */
  readonly ended: Promise<Error>;
  readonly #client: Client;
  readonly #timeoutMs: number;
  readonly #watchdog: NodeJS.Timeout;
  /** When each unanswered command was sent; a server answers in this order. */
  readonly #sentAt = new Map<number, number>();
  #next = 0;
  #isOpen = true;
  #end: (reason: Error) => void = () => {};

  private constructor(client: Client, address: RedisAddress, timeoutMs: number) {
    this.#client = client;
    this.address = address;
    this.#timeoutMs = timeoutMs;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#watchdog = setInterval(() => this.#watch(), timeoutMs / 4);
    this.#watchdog.unref();
    client.on('error', (cause) => this.#fail(cause));
    client.on('end', () => this.#fail(new Error('the connection to Redis was closed')));
    // The slot of a channel has gone elsewhere: whoever subscribed has to follow.
    client.on('sharded-channel-moved', () => this.#fail(new Error('a channel of Redis moved')));
  }

  /** Connects and authenticates; rejects when that fails, or takes too long. */
  static async open(address: RedisAddress, options: ConnectionOptions): Promise<RedisConnection> {
    const { credentials, database, tls, timeoutMs } = options;
    const { host, port } = address;
    const socket = { connectTimeout: timeoutMs, reconnectStrategy: false as const };
    const client = createClient({
      socket: tls
        ? { ...socket, host, port, tls: true, ...serverName(host) }
        : { ...socket, host, port },
      ...credentials,
      database,
      name: 'couplet',
      disableClientInfo: true,
      disableOfflineQueue: true,
      maintNotifications: 'disabled',
      // Its timeouts cost a signal per command, and end when the command is written.
      commandOptions: { timeout: undefined } as object,
    }) as unknown as Client;
    const connection = new RedisConnection(client, address, timeoutMs);
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('connecting to Redis took too long')), timeoutMs);
    });
    try {
      await Promise.race([client.connect(), tooLate]);
      return connection;
    } catch (error) {
      connection.#fail(error as Error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Sends a command; those of one turn of the event loop leave together, in their order.
   *
   * @throws RedisReplyError what the server says
   * @throws Unavailable if the connection ends before the answer: whether the command was run is not known
   */
  send(args: readonly RedisArgument[]): Promise<unknown> {
    return this.#await(() => this.#client.sendCommand(args));
  }

  /** Subscribes to a sharded channel. A connection that subscribes is used for nothing else. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    await this.#await(() => this.#client.sSubscribe(channel, listener));
  }

  /** Ends it at once; what is unanswered rejects. */
  close(reason = new Error('the connection to Redis was given up')): void {
    this.#fail(reason);
  }

  async #await(ask: () => Promise<unknown>): Promise<unknown> {
    if (!this.#isOpen) throw new Unavailable(new Error('the connection to Redis has ended'));
    if (this.#sentAt.size >= MAX_UNANSWERED) {
      throw new Unavailable(new Error('too many commands await Redis'));
    }
    const number = this.#next++;
    this.#sentAt.set(number, performance.now());
    try {
      return await ask();
    } catch (error) {
      if (error instanceof ErrorReply) throw new RedisReplyError(error.message);
      throw new Unavailable(error);
    } finally {
      this.#sentAt.delete(number);
    }
  }

  #fail(reason: Error): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearInterval(this.#watchdog);
    this.#client.destroy();
    this.#end(reason);
  }

  #isLate(): boolean {
    const [oldest] = this.#sentAt.values();
    return oldest !== undefined && performance.now() - oldest > this.#timeoutMs;
  }

  /** A server that does not answer in time is as good as gone, and later answers would be taken for those of others. */
  #watch(): void {
    if (!this.#isLate()) return;
    // After this process was stopped and continued, answers wait to be read: they come before this is called.
    setImmediate(() => {
      if (this.#isLate()) this.#fail(new Error('Redis does not answer'));
    });
  }
}

/** An address is no name for SNI (RFC 6066 §3); its certificate is checked by the address then. */
const serverName = (host: string) => (isIP(host) === 0 ? { servername: host } : {});
