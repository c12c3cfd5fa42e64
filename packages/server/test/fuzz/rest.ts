// Fuzzes REST with requests from the schemas: valid, with one fault, or garbage. Each answer is the one expected for its
// request, in the form of the schema and the table.
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as send } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import fc from 'fast-check';
import type { TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import {
  anything,
  deepJson,
  extraFields,
  nearlyValid,
  noJson,
  noObject,
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

/** The checks of success bodies, compiled once. */
const compiled = new Map(
  [...ENDPOINTS, GET_ROOM].flatMap(([, , , success]) =>
    Object.values(success).flatMap((schema) =>
      schema ? [[schema, Compile(schema)] as const] : [],
    ),
  ),
);

/** One request and its expected answer. */
interface RestCase {
  endpoint: (typeof ENDPOINTS)[0];
  query?: string;
  body?: string;
  headers?: Record<string, string>;
  /** The code; null: an error is possible, but not one about an invalid body; `any`: any in the documented form. */
  expected: RestErrorCode | 'any' | null;
  field?: string;
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
  const [, , request] = endpoint;
  const isPurge = request === wire.PurgeRequest;
  const known = (expected: RestCase['expected']) => (isPurge ? 'any' : expected);
  const bodies = valid(request).map(json);
  const extended = fc
    .tuple(extraFields, valid(request))
    .map(([extra, body]) => json({ ...extra, ...body }));
  const cases: [number, fc.Arbitrary<Omit<RestCase, 'endpoint'>>][] = [
    [4, bodies.map((body) => ({ body, expected: known(null) }))],
    [1, extended.map((body) => ({ body, expected: known(null) }))],
    [2, fc.oneof(noJson, noObject).map((body) => ({ body, expected: 'invalid_json' }))],
    [1, anything.map((body) => ({ body: json(body), expected: 'any' }))],
    [1, fc.record({ body: bodies, headers, expected: fc.constant('any' as const) })],
    [
      4,
      nearlyValid(request).map(({ value, field, other }) => {
        const isGone = other === undefined || other === null || other === '';
        const code = (isGone ? 'missing_field' : `invalid_${field}`) as RestErrorCode;
        return { body: json(value), expected: known(code), ...(isPurge ? {} : { field }) };
      }),
    ],
    [
      1,
      fc.tuple(bodies, deepJson, headers).map(([whole, deep, headers]) => {
        const body = `{"x":${deep},${whole.slice(1)}`.replace(',}', '}');
        return { body, headers, expected: 'invalid_json' };
      }),
    ],
  ];
  return fc
    .oneof(...cases.map(([weight, arbitrary]) => ({ weight, arbitrary })))
    .map((one) => ({ endpoint, ...one }));
}

const QUERIES: [RestCase['expected'], fc.Arbitrary<string>][] = [
  [null, valuesOf(wire.RoomId).map((id) => `?roomid=${encodeURIComponent(id as string)}`)],
  [
    'any',
    fc.string({ unit: 'binary-ascii' }).map((raw) => `?roomid=${raw.replace(/[^!-"$-~]/g, '+')}`),
  ],
  ['missing_field', fc.constantFrom('', '?', '?roomid', '?roomid=', '?ROOMID=x')],
  [null, fc.constantFrom('%ff', '%', '%2', '%ed%a0%80').map((raw) => `?roomid=a${raw}`)],
  ['invalid_roomid', fc.constantFrom('?roomid=a&roomid=b', `?roomid=${'x'.repeat(257)}`)],
];
const getCases = fc.oneof(
  ...QUERIES.map(([expected, queries]) =>
    queries.map((query): RestCase => ({ endpoint: GET_ROOM, query, expected })),
  ),
);

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

const errorBody = Compile(wire.ErrorResponse);

/** Connections that are reused; fetch would keep its own for as long as the server allows. */
const agent = new Agent({ keepAlive: true });

/** Closes the connections of the requests so far. */
export const hangUp = (): void => agent.destroy();

/** Sends one request as from this address, and checks the answer. */
export async function judgeRest(url: string, one: RestCase, address: string): Promise<void> {
  const { endpoint, query = '', body, expected, field } = one;
  const [method, path, , success] = endpoint;
  const headers = { 'x-forwarded-for': address, ...one.headers };
  // Node sends a DELETE body without its length by default.
  const length = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body ?? ''),
  };
  const sent = send(url + path + query, {
    ...{ agent, method, headers: body === undefined ? headers : { ...length, ...headers } },
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const [status, text] = [Number(response.statusCode), await readText(response)];
  const fail = (reason: string) => {
    throw new Error(`${reason}: ${status} ${text}`);
  };
  const schema = success[status];
  if (schema !== undefined) {
    if (expected !== null && expected !== 'any') fail(`expected ${expected}`);
    const fits = schema === null ? text === '' : compiled.get(schema)?.Check(JSON.parse(text));
    if (!fits) fail('not the answer of the schema');
    return;
  }
  if (!response.headers['content-type']?.startsWith('application/json')) fail('not JSON');
  const answer: unknown = JSON.parse(text);
  if (!errorBody.Check(answer)) return fail('not an error body');
  const { error } = answer;
  if (REST_ERRORS[error].status !== status || error === 'internal_error')
    fail('not as in the table');
  if (error === 'rate_limited') fail('the limits are raised');
  if (expected === null && !OF_STATE.has(error)) fail('unexpected');
  if (expected !== null && expected !== 'any' && expected !== error) fail(`expected ${expected}`);
  if (field !== undefined && answer.field !== field) fail(`not ${field}`);
}
