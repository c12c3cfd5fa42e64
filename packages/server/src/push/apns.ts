// Sends notifications to iOS devices through the Apple Push Notification service, with token authentication over HTTP/2.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Clock } from '../base/clock.js';
import type { ApnsCredentials } from './credentials.js';
import { type Attempt, attemptOfStatus } from './delivery.js';
import { signedJwt } from './jwt.js';
import { ALERT, LIFETIME_SECONDS, TYPE } from './notification.js';

/** APNs refuses tokens that are older than an hour, and accepts a new one only every 20 minutes. */
export const TOKEN_MS = 40 * 60_000;
const MIN_TOKEN_MS = 20 * 60_000;

/** After this time without a request, a ping tests the connection. */
export const UNUSED_MS = 60_000;
const PING_MS = 3000;

const MAX_ANSWER_BYTES = 4096;

/**
 * Whether a text has the form of a token, which is part of the path. APNs may break the connection, which all notifications
 * share, because of a path that it does not expect or that is too long. Tokens have 64 digits; Apple promises no length.
 */
export const isDeviceToken = (text: string): boolean => /^[0-9a-f]{1,1024}$/i.test(text);

/**
 * Reasons of a 400 that mean an invalid device token. DeviceTokenNotForTopic is not one: it comes for every token if
 * APNS_TOPIC is wrong, and then no token may be deleted.
 */
const DEAD = ['BadDeviceToken', 'Unregistered'];

interface Connection {
  session: ClientHttp2Session;
  /** Requests in progress. */
  requests: number;
  /** Whether it is closed as soon as it has no request. */
  isAbandoned: boolean;
}

export class Apns {
  readonly #credentials: ApnsCredentials;
  readonly #clock: Clock;
  readonly #ca: string | undefined;
  /** The connection for the next request. One that ends is replaced. */
  #connection: Connection | undefined;
  #usedAt = 0;
  #checking: Promise<void> | undefined;
  #token: { jwt: string; at: number } | undefined;

  constructor(credentials: ApnsCredentials, clock: Clock, ca: string | undefined) {
    this.#credentials = credentials;
    this.#clock = clock;
    this.#ca = ca;
  }

  async send(deviceToken: string, roomId: string, signal: AbortSignal): Promise<Attempt> {
    const { status, retryAfter, reason } = await this.#post(deviceToken, roomId, signal);
    const known = attemptOfStatus(status, retryAfter, this.#clock.now());
    if (known !== undefined) return known;
    if (status === 410 || DEAD.includes(reason)) return { kind: 'dead' };
    if (status !== 403) return { kind: 'failed', cause: 'rejected' };
    // The clock was set, or the process was suspended. A token of this age may be replaced.
    const isOld = this.#token !== undefined && this.#clock.now() - this.#token.at > MIN_TOKEN_MS;
    if (reason !== 'ExpiredProviderToken' || !isOld) {
      return { kind: 'failed', cause: 'credentials' };
    }
    this.#token = undefined;
    return { kind: 'later', cause: 'credentials', afterMs: 0 };
  }

  close(): void {
    if (this.#connection) this.#abandon(this.#connection);
  }

  async #post(deviceToken: string, roomId: string, signal: AbortSignal) {
    await this.#check();
    const now = Math.floor(this.#clock.now() / 1000);
    const headers = {
      ':method': 'POST',
      ':path': `/3/device/${deviceToken}`,
      authorization: `bearer ${this.#jwt()}`,
      'apns-topic': this.#credentials.topic,
      'apns-push-type': 'alert',
      'apns-priority': '10',
      'apns-expiration': String(now + LIFETIME_SECONDS),
      'content-type': 'application/json',
    };
    const aps = { alert: ALERT, sound: 'default', 'mutable-content': 1 };
    const body = JSON.stringify({ aps, roomId, type: TYPE });
    const kept = this.#connection;
    const connection = kept ?? this.#open();
    try {
      return await this.#exchange(connection, headers, body, signal);
    } catch (error) {
      this.#abandon(connection);
      // A kept connection may end at any time (GOAWAY); only a new one shows whether APNs can be reached.
      if (kept === undefined || signal.aborted) throw error;
      return await this.#exchange(this.#connection ?? this.#open(), headers, body, signal);
    }
  }

  async #exchange(
    connection: Connection,
    headers: OutgoingHttpHeaders,
    body: string,
    signal: AbortSignal,
  ) {
    connection.requests += 1;
    try {
      return await answerOf(connection.session.request(headers, { signal }), body);
    } finally {
      this.#usedAt = this.#clock.monotonic();
      connection.requests -= 1;
      if (connection.isAbandoned) this.#abandon(connection);
    }
  }

  #jwt(): string {
    const now = this.#clock.now();
    const { keyId, teamId, key } = this.#credentials;
    if (this.#token === undefined || Math.abs(now - this.#token.at) > TOKEN_MS) {
      const claims = { iss: teamId, iat: Math.floor(now / 1000) };
      this.#token = { jwt: signedJwt({ alg: 'ES256', kid: keyId }, claims, key), at: now };
    }
    return this.#token.jwt;
  }

  #open(): Connection {
    const { origin } = this.#credentials;
    const session = connect(origin, this.#ca === undefined ? {} : { ca: this.#ca });
    const connection = { session, requests: 0, isAbandoned: false };
    // Each request reports the error of its connection.
    session.on('error', () => {});
    session.on('goaway', () => this.#abandon(connection));
    session.on('close', () => this.#abandon(connection));
    this.#connection = connection;
    this.#usedAt = this.#clock.monotonic();
    return connection;
  }

  /** Starts no further request on a connection. `session.close()` is not used: it waits until the other end closes the socket. */
  #abandon(connection: Connection): void {
    if (this.#connection === connection) this.#connection = undefined;
    connection.isAbandoned = true;
    if (connection.requests === 0) connection.session.destroy();
  }

  /** Replaces a connection that was lost without notice, such as one that a firewall has forgotten. */
  async #check(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { session } = connection;
    // A ping throws then. The request fails, and opens another connection.
    if (session.closed || session.destroyed) return;
    if (this.#clock.monotonic() - this.#usedAt < UNUSED_MS) return;
    this.#checking ??= new Promise<void>((resolve) => {
      const cancel = this.#clock.after(PING_MS, () => session.destroy());
      // Also called, with an error, when the session is destroyed.
      session.ping((error) => {
        cancel();
        if (error === null) this.#usedAt = this.#clock.monotonic();
        else this.#abandon(connection);
        this.#checking = undefined;
        resolve();
      });
    });
    await this.#checking;
  }
}

async function answerOf(stream: ClientHttp2Stream, body: string) {
  const answer = { status: 0, retryAfter: undefined as unknown, reason: '' };
  stream.on('response', (headers) => {
    answer.status = headers[':status'] ?? 0;
    answer.retryAfter = headers['retry-after'];
  });
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (part: string) => {
    if (text.length < MAX_ANSWER_BYTES) text += part;
  });
  stream.end(body);
  await new Promise<void>((resolve, reject) => {
    // The error of a stream only says that the connection has failed.
    stream.on('error', (error) => reject(error.cause ?? error));
    stream.on('close', () => (answer.status === 0 ? reject(new Error('no answer')) : resolve()));
  });
  if (answer.status !== 200) answer.reason = reasonOf(text);
  return answer;
}

function reasonOf(text: string): string {
  try {
    return String(JSON.parse(text).reason);
  } catch {
    // A proxy may answer with another text; the status decides then.
    return '';
  }
}
