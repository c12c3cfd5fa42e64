// Sends notifications to iOS devices through the Apple Push Notification service, with token authentication over HTTP/2.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { parsedJson } from '../base/json.js';
import type { ApnsCredentials } from './credentials.js';
import { type Attempt, attemptOfStatus, REJECTED } from './delivery.js';
import {
  ALERT,
  LIFETIME_SECONDS,
  type PushService,
  type ServiceDeps,
  signedJwt,
  TYPE,
} from './notification.js';

/** APNs refuses tokens that are older than an hour, and accepts a new one only every 20 minutes. */
export const TOKEN_MS = 40 * 60_000;
const MIN_TOKEN_MS = 20 * 60_000;

/** A connection without a request for this time is replaced: a firewall may have forgotten it without notice. */
export const UNUSED_MS = 60_000;

const MAX_ANSWER_BYTES = 4096;

/**
 * Whether a text has the form of a token, which is part of the path. APNs may break the connection, which all notifications
 * share, because of a path that it does not expect or that is too long. Tokens have 64 digits; Apple promises no length.
 */
const isDeviceToken = (text: string): boolean => /^[0-9a-f]{1,1024}$/i.test(text);

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

export function openApns(credentials: ApnsCredentials, { clock, ca }: ServiceDeps): PushService {
  const { key, keyId, teamId, topic, origin } = credentials;
  /** The connection for the next request. One that ends is replaced. */
  let current: Connection | undefined;
  let usedAt = 0;
  let token: { jwt: string; at: number } | undefined;

  /** Starts no further request on a connection. `session.close()` is not used: it waits until the other end closes the socket. */
  const abandon = (connection: Connection) => {
    if (current === connection) current = undefined;
    connection.isAbandoned = true;
    if (connection.requests === 0) connection.session.destroy();
  };

  const open = (): Connection => {
    const session = connect(origin, ca === undefined ? {} : { ca });
    const connection = { session, requests: 0, isAbandoned: false };
    // Each request reports the error of its connection.
    session.on('error', () => {});
    session.on('goaway', () => abandon(connection));
    session.on('close', () => abandon(connection));
    current = connection;
    usedAt = clock.monotonic();
    return connection;
  };

  const jwt = (): string => {
    const now = clock.now();
    if (token === undefined || Math.abs(now - token.at) > TOKEN_MS) {
      const claims = { iss: teamId, iat: Math.floor(now / 1000) };
      token = { jwt: signedJwt({ alg: 'ES256', kid: keyId }, claims, key), at: now };
    }
    return token.jwt;
  };

  const exchange = async (
    connection: Connection,
    headers: OutgoingHttpHeaders,
    body: string,
    signal: AbortSignal,
  ) => {
    connection.requests += 1;
    try {
      return await answerOf(connection.session.request(headers, { signal }), body);
    } finally {
      usedAt = clock.monotonic();
      connection.requests -= 1;
      if (connection.isAbandoned) abandon(connection);
    }
  };

  const post = async (deviceToken: string, roomId: string, signal: AbortSignal) => {
    if (current && clock.monotonic() - usedAt >= UNUSED_MS) abandon(current);
    const now = Math.floor(clock.now() / 1000);
    const headers = {
      ':method': 'POST',
      ':path': `/3/device/${deviceToken}`,
      authorization: `bearer ${jwt()}`,
      'apns-topic': topic,
      'apns-push-type': 'alert',
      'apns-priority': '10',
      'apns-expiration': String(now + LIFETIME_SECONDS),
      'content-type': 'application/json',
    };
    const aps = { alert: ALERT, sound: 'default', 'mutable-content': 1 };
    const body = JSON.stringify({ aps, roomId, type: TYPE });
    const kept = current;
    const connection = kept ?? open();
    try {
      return await exchange(connection, headers, body, signal);
    } catch (error) {
      abandon(connection);
      // A kept connection may end at any time (GOAWAY); only a new one shows whether APNs can be reached.
      if (kept === undefined || signal.aborted) throw error;
      return await exchange(current ?? open(), headers, body, signal);
    }
  };

  const send = async (
    deviceToken: string,
    roomId: string,
    signal: AbortSignal,
  ): Promise<Attempt> => {
    const { status, retryAfter, reason } = await post(deviceToken, roomId, signal);
    const known = attemptOfStatus(status, retryAfter, clock.now());
    if (known !== undefined) return known;
    if (status === 410 || DEAD.includes(reason)) return { kind: 'dead' };
    if (status !== 403) return REJECTED;
    // The clock was set, or the process was suspended. A token of this age may be replaced.
    const isOld = token !== undefined && clock.now() - token.at > MIN_TOKEN_MS;
    if (reason !== 'ExpiredProviderToken' || !isOld) {
      return { kind: 'failed', cause: 'credentials' };
    }
    token = undefined;
    return { kind: 'later', cause: 'credentials', afterMs: 0 };
  };

  return {
    prepare: (target, roomId) =>
      isDeviceToken(target.token)
        ? { send: (signal) => send(target.token, roomId, signal) }
        : { end: 'dead' },
    close() {
      if (current) abandon(current);
    },
  };
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
  // A proxy may answer with another text; the status decides then.
  if (answer.status !== 200) answer.reason = String(Object(parsedJson(text)).reason);
  return answer;
}
