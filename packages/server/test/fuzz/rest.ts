// Fuzzes REST with requests from the schemas: valid, with one fault, or garbage. Each answer is the one that the schema of its
// request predicts, in the form of the schema and the table.
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as send } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import fc from 'fast-check';
import type { TObject, TSchema } from 'typebox';
import {
  anything,
  deepJson,
  extraFields,
  faultyField,
  fits,
  nearlyValid,
  noJson,
  objectIn,
  valuesOf,
} from './schema-arbitrary.js';

const { create, accept, check, cancel } = wire.pairingRequests(6);

/** Method, path, request, and the body of each success by its status; null: no body. */
const ENDPOINTS: [string, string, TObject, Record<number, TSchema | null>][] = [
  ['POST', '/api/rooms', create, { 201: wire.CreatePendingResponse }],
  ['POST', '/api/rooms/accept', accept, { 200: wire.RoomIdResponse }],
  ['POST', '/api/rooms/check', check, { 200: wire.RoomIdResponse, 204: null }],
  ['POST', '/api/rooms/cancel', cancel, { 200: wire.CancelResponse }],
  ['DELETE', '/api/rooms', wire.RoomQuery, { 200: wire.DeleteRoomResponse }],
  ['POST', '/api/push-token', wire.PushTokenRequest, { 200: wire.PushTokenResponse }],
  ['POST', '/api/badge/reset', wire.BadgeResetRequest, { 200: wire.BadgeResetResponse }],
  ['POST', '/api/user/purge', wire.PurgeRequest, { 200: wire.PurgeResponse }],
];
const GET_ROOM: (typeof ENDPOINTS)[0] = [
  'GET',
  '/api/rooms',
  wire.RoomQuery,
  { 200: wire.RoomResponse },
];

/** One request. */
interface RestCase {
  endpoint: (typeof ENDPOINTS)[0];
  query?: string;
  body?: string;
  headers?: Record<string, string>;
}

/** Few codes and devices, so that requests meet each other's pendings. */
const familiar = fc.record({
  joinid: fc.integer({ max: 9, min: 0 }).map((n) => `00000${n}`),
  client1: fc.constantFrom('A', 'B'),
  client2: fc.constantFrom('A', 'B', 'C'),
});

const valid = (request: TObject) =>
  fc.tuple(valuesOf(request), familiar, fc.boolean()).map(([value, known, meet]) => {
    const shared = Object.entries(known).filter(([name]) => meet && name in request.properties);
    return { ...value, ...Object.fromEntries(shared) };
  });

/** Headers that the API reads, valid or invalid. */
const headers: fc.Arbitrary<Record<string, string>> = fc.record(
  {
    prefer: fc.constantFrom(
      'wait=0',
      'wait=1',
      'wait',
      'wait=-1',
      'wait=1e9',
      'x, wait=0;y="',
      ';',
    ),
    'idempotency-key': fc.oneof(fc.constantFrom('k1', 'k2', 'k'.repeat(257), '"k"'), fc.uuid()),
    accept: fc.constantFrom('text/html', '*/*', 'application/xml;q=0', 'x'),
    origin: fc.constantFrom('null', 'https://example.org', 'x'),
  },
  { requiredKeys: [] },
);

const json = (value: unknown): string => JSON.stringify(value);

function casesOf(endpoint: RestCase['endpoint']): fc.Arbitrary<RestCase> {
  const bodies = valid(endpoint[2]).map(json);
  const cases: [number, fc.Arbitrary<Omit<RestCase, 'endpoint'>>][] = [
    [4, fc.record({ body: bodies })],
    [4, fc.record({ body: nearlyValid(endpoint[2]).map(json) })],
    [3, fc.record({ body: fc.oneof(noJson, anything.map(json)) })],
    [1, fc.record({ body: bodies, headers })],
    [
      2,
      fc.tuple(bodies, fc.oneof(deepJson, extraFields.map(json))).map(([whole, more]) => {
        const body = `{"x":${more},${whole.slice(1)}`.replace(',}', '}');
        return { body };
      }),
    ],
  ];
  return fc
    .oneof(...cases.map(([weight, arbitrary]) => ({ weight, arbitrary })))
    .map((one) => ({ endpoint, ...one }));
}

const getCases = fc
  .oneof(
    valuesOf(wire.RoomId).map((id) => `?roomid=${encodeURIComponent(id as string)}`),
    fc.string({ unit: 'binary-ascii' }).map((raw) => `?roomid=${raw.replace(/[^!-"$-~]/g, '+')}`),
    fc.constantFrom('%ff', '%', '%2', '%ed%a0%80').map((raw) => `?roomid=a${raw}`),
    fc.constantFrom('', '?', '?roomid', '?roomid=', '?ROOMID=x', '?roomid=a&roomid=b'),
  )
  .map((query): RestCase => ({ endpoint: GET_ROOM, query }));

/** Requests that are sent concurrently. */
export const restCases: fc.Arbitrary<RestCase[]> = fc.array(
  fc.oneof(...ENDPOINTS.map(casesOf), getCases),
  { minLength: 1, maxLength: 8 },
);

/** Errors due to the state of the server or to two fields together, with bodies that match the schema. */
const OF_STATE: ReadonlySet<string> = new Set<RestErrorCode>([
  'conflict',
  'not_found',
  'not_found_or_expired',
  // A device cannot accept its own code.
  'invalid_client2',
  'forbidden',
  // The token is one of another platform.
  'invalid_client1_token',
  'invalid_client2_token',
  'invalid_token',
]);

/**
 * Whether this may be the error of a body without further headers. A purge ignores invalid ids, and a query has tests of its
 * own.
 */
function isExpected({ body, endpoint, headers }: RestCase, error: string, field?: string): boolean {
  const [, , request] = endpoint;
  if (body === undefined || headers) return true;
  const value = objectIn(body);
  if (value === undefined) return error === 'invalid_json';
  if (request === wire.PurgeRequest) return true;
  const faulty = faultyField(request, value ?? {});
  if (faulty === undefined) return OF_STATE.has(error);
  const isGone = [undefined, null, ''].includes(value?.[faulty] as null);
  return field === faulty && error === (isGone ? 'missing_field' : `invalid_${faulty}`);
}

/** Connections that are reused; fetch would keep its own for as long as the server allows. */
const agent = new Agent({ keepAlive: true });

/** Closes the connections of the requests so far. */
export const hangUp = (): void => agent.destroy();

/** Sends one request as from this address, and checks the answer. */
export async function judgeRest(url: string, one: RestCase, address: string): Promise<void> {
  const { endpoint, query = '', body } = one;
  const [method, path, request, success] = endpoint;
  const headers = { 'x-forwarded-for': address, ...one.headers };
  // Node sends a DELETE body without its length by default.
  const length = body && { 'content-length': Buffer.byteLength(body) };
  const type = body && { 'content-type': 'application/json' };
  const sent = send(url + path + query, {
    agent,
    method,
    headers: { ...type, ...length, ...headers },
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const [status, text] = [Number(response.statusCode), await readText(response)];
  const fail = (reason: string) => {
    throw new Error(`${reason}: ${body} → ${status} ${text}`);
  };
  const schema = success[status];
  if (schema !== undefined) {
    const isPredicted = body !== undefined && request !== wire.PurgeRequest;
    if (isPredicted && !fits(request, objectIn(body) ?? {})) fail('accepted');
    if (schema === null ? text !== '' : !fits(schema, JSON.parse(text))) fail('not of the schema');
    return;
  }
  if (!response.headers['content-type']?.startsWith('application/json')) fail('not JSON');
  const answer = JSON.parse(text);
  if (!fits(wire.ErrorResponse, answer)) fail('not an error body');
  const { error, field } = answer as { error: RestErrorCode; field?: string };
  if (REST_ERRORS[error].status !== status || error === 'internal_error')
    fail('not as in the table');
  if (error === 'rate_limited') fail('the limits are raised');
  if (!isExpected(one, error, field)) fail('not expected');
}
