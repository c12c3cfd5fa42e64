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

interface Endpoint {
  method: string;
  path: string;
  request: TObject;
  /** Status → check of the answer's body; null: no body. */
  success: Record<number, ReturnType<typeof Compile> | null>;
}

const endpoint = (
  method: string,
  path: string,
  request: TObject,
  success: Record<number, TSchema | null>,
): Endpoint => {
  const checks = Object.entries(success).map(([status, schema]) => [
    status,
    schema && Compile(schema),
  ]);
  return { method, path, request, success: Object.fromEntries(checks) };
};

const { create, accept, check, cancel } = wire.pairingRequests(6);

const ENDPOINTS: readonly Endpoint[] = [
  endpoint('POST', '/api/rooms', create, { 201: wire.CreatePendingResponse }),
  endpoint('POST', '/api/rooms/accept', accept, { 200: wire.RoomIdResponse }),
  endpoint('POST', '/api/rooms/check', check, { 200: wire.RoomIdResponse, 204: null }),
  endpoint('POST', '/api/rooms/cancel', cancel, { 200: wire.CancelResponse }),
  endpoint('DELETE', '/api/rooms', wire.RoomQuery, { 200: wire.DeleteRoomResponse }),
  endpoint('POST', '/api/push-token', wire.PushTokenRequest, { 200: wire.PushTokenResponse }),
  endpoint('POST', '/api/badge/reset', wire.BadgeResetRequest, { 200: wire.BadgeResetResponse }),
  endpoint('POST', '/api/user/purge', wire.PurgeRequest, { 200: wire.PurgeResponse }),
];
const GET_ROOM = endpoint('GET', '/api/rooms', wire.RoomQuery, { 200: wire.RoomResponse });

/** One request and its expected answer: the possible codes, or any answer in the documented form. */
interface RestCase {
  endpoint: Endpoint;
  query: string;
  body: string | undefined;
  headers: Record<string, string>;
  /** The possible codes; null: an error is possible, but not one about an invalid body. */
  expected: readonly RestErrorCode[] | null | 'any';
  field?: string;
}

/** Few codes and devices, so that requests meet each other's pendings. */
const familiar = fc.record({
  joinid: fc.integer({ max: 9, min: 0 }).map((n) => `00000${n}`),
  client1: fc.constantFrom('A', 'B'),
  client2: fc.constantFrom('A', 'B', 'C'),
});

const valid = (request: TObject): fc.Arbitrary<Record<string, unknown>> =>
  fc
    .tuple(valuesOf(request) as fc.Arbitrary<Record<string, unknown>>, familiar, fc.boolean())
    .map(([value, known, meet]) => {
      if (!meet) return value;
      const shared = Object.entries(known).filter(([name]) => name in request.properties);
      return { ...value, ...Object.fromEntries(shared) };
    });

/** Headers that the API reads, valid or invalid. */
const headers = fc.record(
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

function casesOf(endpoint: Endpoint): fc.Arbitrary<RestCase> {
  const { request } = endpoint;
  const isPurge = request === wire.PurgeRequest;
  const known = (expected: RestCase['expected']) => (isPurge ? 'any' : expected);
  const base = { endpoint, query: '', headers: {} };
  const given = headers as fc.Arbitrary<Record<string, string>>;
  const withBody = (
    weight: number,
    bodies: fc.Arbitrary<string>,
    expected: RestCase['expected'],
  ) => ({ weight, arbitrary: bodies.map((body): RestCase => ({ ...base, body, expected })) });
  const extended = fc.tuple(extraFields, valid(request)).map((all) => Object.assign({}, ...all));
  return fc.oneof(
    withBody(4, valid(request).map(json), known(null)),
    withBody(1, extended.map(json), known(null)),
    withBody(1, noJson, ['invalid_json']),
    withBody(1, noObject, ['invalid_json']),
    withBody(1, anything.map(json), 'any'),
    {
      weight: 1,
      arbitrary: fc
        .record({ body: valid(request).map(json), headers: given })
        .map((parts): RestCase => ({ ...base, ...parts, expected: 'any' })),
    },
    {
      weight: 4,
      arbitrary: nearlyValid(request).map(({ value, field, how }): RestCase => {
        const gone = how === 'missing' || value[field] === null || value[field] === '';
        const code = (gone ? 'missing_field' : `invalid_${field}`) as RestErrorCode;
        const expected = known([code]);
        return { ...base, body: json(value), expected, ...(isPurge ? {} : { field }) };
      }),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(valid(request).map(json), deepJson, given)
        .map(([whole, deep, headers]): RestCase => {
          const body = `{"x":${deep},${whole.slice(1)}`.replace(',}', '}');
          return { ...base, body, headers, expected: ['invalid_json'] };
        }),
    },
  );
}

const json = (value: unknown): string => JSON.stringify(value);

const queries = (from: fc.Arbitrary<string>, expected: RestCase['expected']) =>
  from.map(
    (query): RestCase => ({ endpoint: GET_ROOM, body: undefined, headers: {}, query, expected }),
  );

const getCases = fc.oneof(
  queries(
    valuesOf(wire.RoomId).map((id) => `?roomid=${encodeURIComponent(id as string)}`),
    null,
  ),
  queries(
    fc.string({ unit: 'binary-ascii' }).map((raw) => `?roomid=${raw.replace(/[^!-"$-~]/g, '+')}`),
    'any',
  ),
  queries(fc.constantFrom('', '?', '?roomid', '?roomid=', '?ROOMID=x'), ['missing_field']),
  queries(
    fc.constantFrom('%ff', '%', '%2', '%ed%a0%80').map((raw) => `?roomid=a${raw}`),
    null,
  ),
  queries(fc.constantFrom('?roomid=a&roomid=b', `?roomid=${'x'.repeat(257)}`), ['invalid_roomid']),
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

async function exchange(url: string, method: string, body: string | undefined, headers: object) {
  // Node sends a DELETE body without its length by default.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const sent = send(url, { agent, method, headers: { ...headers, ...length } });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return {
    status: response.statusCode as number,
    headers: response.headers,
    text: await readText(response),
  };
}

/** Sends one request as from this address, and checks the answer. */
export async function judgeRest(
  url: string,
  { endpoint, query, body, headers, expected, field }: RestCase,
  address: string,
): Promise<void> {
  const response = await exchange(url + endpoint.path + query, endpoint.method, body, {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    'x-forwarded-for': address,
    ...headers,
  });
  const { text } = response;
  const describe = `${response.status} ${text}`;
  const success = endpoint.success[response.status];
  if (success !== undefined) {
    if (Array.isArray(expected)) throw new Error(`expected ${expected}, got ${describe}`);
    const fits = success === null ? text === '' : success.Check(JSON.parse(text));
    if (!fits) throw new Error(`not the answer of the schema: ${describe}`);
    return;
  }
  if (!response.headers['content-type']?.startsWith('application/json')) {
    throw new Error(`not JSON: ${response.headers['content-type']} ${describe}`);
  }
  const answer: unknown = JSON.parse(text);
  if (!errorBody.Check(answer)) throw new Error(`not an error body: ${describe}`);
  const { error } = answer;
  if (REST_ERRORS[error].status !== response.status || error === 'internal_error') {
    throw new Error(`not as in the table: ${describe}`);
  }
  if (error === 'rate_limited') throw new Error('rate limited, but the limits are raised');
  if (expected === null && !OF_STATE.has(error)) throw new Error(`unexpected ${describe}`);
  if (Array.isArray(expected) && !expected.includes(error)) {
    throw new Error(`expected ${expected}, got ${describe}`);
  }
  if (field !== undefined && answer.field !== field) throw new Error(`not ${field}: ${describe}`);
}
