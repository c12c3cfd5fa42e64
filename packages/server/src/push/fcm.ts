// Sends notifications to Android devices through Firebase Cloud Messaging, HTTP v1 API.
import { parsedJson } from '../base/json.js';
import type { FcmCredentials } from './credentials.js';
import { type Attempt, attemptOfStatus, REJECTED } from './delivery.js';
import {
  ALERT,
  LIFETIME_SECONDS,
  type PushService,
  type ServiceDeps,
  signedJwt,
  TYPE,
} from './notification.js';

const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';

/** Lifetime of the assertion for which Google gives an access token. */
const ASSERTION_SECONDS = 3600;

/** An access token is replaced this long before it expires. */
const EARLY_SECONDS = 60;

interface AccessToken {
  token: string;
  until: number;
}

export function openFcm(credentials: FcmCredentials, { clock, http }: ServiceDeps): PushService {
  const { key, clientEmail, projectId, tokenUri, origin } = credentials;
  let access: AccessToken | undefined;
  /** One request for an access token serves all notifications that wait for it. */
  let granting: Promise<AccessToken | Attempt> | undefined;

  /** Requests an access token (RFC 7523 §2.1). */
  const grant = async (signal: AbortSignal): Promise<AccessToken | Attempt> => {
    const now = clock.now();
    const iat = Math.floor(now / 1000);
    const claims = {
      iss: clientEmail,
      scope: SCOPE,
      aud: tokenUri,
      iat,
      exp: iat + ASSERTION_SECONDS,
    };
    const answer = await http.post(
      tokenUri,
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: signedJwt({ alg: 'RS256' }, claims, key),
      }).toString(),
      signal,
    );
    const attempt = attemptOfStatus(answer.status, answer.headers['retry-after'], now);
    const { access_token: token, expires_in: seconds } = jsonOf(answer.text);
    if (attempt?.kind === 'sent' && typeof token === 'string' && typeof seconds === 'number') {
      access = { token, until: now + (seconds - EARLY_SECONDS) * 1000 };
      return access;
    }
    return attempt?.kind === 'later' ? attempt : { kind: 'failed', cause: 'credentials' };
  };

  /** The access token, or the failed attempt to get one. */
  const authorize = async (signal: AbortSignal): Promise<AccessToken | Attempt> => {
    if (access !== undefined && clock.now() < access.until) return access;
    granting ??= grant(signal).finally(() => {
      granting = undefined;
    });
    return granting;
  };

  const send = async (
    registration: string,
    roomId: string,
    signal: AbortSignal,
  ): Promise<Attempt> => {
    const kept = access;
    const used = await authorize(signal);
    if ('kind' in used) return used;
    const { status, headers, text } = await http.post(
      `${origin}/v1/projects/${encodeURIComponent(projectId)}/messages:send`,
      { Authorization: `Bearer ${used.token}`, 'Content-Type': 'application/json' },
      JSON.stringify({
        message: {
          token: registration,
          notification: { body: ALERT },
          data: { roomId, type: TYPE },
          android: { priority: 'high', ttl: `${LIFETIME_SECONDS}s` },
        },
      }),
      signal,
    );
    const known = attemptOfStatus(status, headers['retry-after'], clock.now());
    if (known !== undefined) return known;
    const { code, fields } = faultOf(text);
    if (isDead(status, code, fields)) return { kind: 'dead' };
    // The project lacks a key for APNs or browsers, to which this token belongs. Other tokens work.
    const isOfToken = code === 'THIRD_PARTY_AUTH_ERROR';
    if ((status !== 401 && status !== 403) || isOfToken) return REJECTED;
    if (access === used) access = undefined;
    // The access token may have been revoked before its expiry.
    return status === 401 && used === kept
      ? { kind: 'later', cause: 'credentials', afterMs: 0 }
      : { kind: 'failed', cause: 'credentials' };
  };

  return {
    prepare: ({ token }, roomId) => ({ send: (signal) => send(token, roomId, signal) }),
  };
}

/** The code of an error, and the fields of the request that it names. */
function faultOf(text: string) {
  const { error } = jsonOf(text);
  const details: unknown = (error as { details?: unknown } | undefined)?.details;
  const all: Record<string, unknown>[] = Array.isArray(details) ? details.map(Object) : [];
  const code = all.find(({ errorCode }) => errorCode !== undefined)?.errorCode;
  const violations = all.flatMap(({ fieldViolations }) => fieldViolations ?? []);
  return { code, fields: violations.map((violation) => Object(violation).field) };
}

/**
 * Whether an answer means that the registration token is not valid. A client chooses nothing else in the message, so an
 * invalid argument is the token, unless the answer names another field.
 */
function isDead(status: number, code: unknown, fields: readonly unknown[]): boolean {
  // SENDER_ID_MISMATCH: the app belongs to another Firebase project.
  if (code === 'UNREGISTERED' || code === 'SENDER_ID_MISMATCH') return true;
  if (status !== 400 || code !== 'INVALID_ARGUMENT') return false;
  return fields.every((field) => field === 'message.token');
}

/** The members of an answer. A proxy may answer with another text; the status decides then. */
const jsonOf = (text: string): Record<string, unknown> => Object(parsedJson(text));
