// Generates API requests from the schemas (valid, with one fault, or garbage), each with its expected answer.
import type { RestErrorCode } from '@couplet/protocol';
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

const body = (schema: TSchema) => Compile(schema);

const { create, accept, check, cancel } = wire.pairingRequests(6);

const ENDPOINTS: readonly Endpoint[] = [
  {
    method: 'POST',
    path: '/api/rooms',
    request: create,
    success: { 201: body(wire.CreatePendingResponse) },
  },
  {
    method: 'POST',
    path: '/api/rooms/accept',
    request: accept,
    success: { 200: body(wire.RoomIdResponse) },
  },
  {
    method: 'POST',
    path: '/api/rooms/check',
    request: check,
    success: { 200: body(wire.RoomIdResponse), 204: null },
  },
  {
    method: 'POST',
    path: '/api/rooms/cancel',
    request: cancel,
    success: { 200: body(wire.CancelResponse) },
  },
  {
    method: 'DELETE',
    path: '/api/rooms',
    request: wire.RoomQuery,
    success: { 200: body(wire.DeleteRoomResponse) },
  },
  {
    method: 'POST',
    path: '/api/user/purge',
    request: wire.PurgeRequest,
    success: { 200: body(wire.PurgeResponse) },
  },
];
const GET_ROOM: Endpoint = {
  method: 'GET',
  path: '/api/rooms',
  request: wire.RoomQuery,
  success: { 200: body(wire.RoomResponse) },
};

/** One request and its expected answer: the possible codes, or any answer in the documented form. */
export interface RestCase {
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
  const base = { endpoint, query: '' };
  const noHeaders = fc.constant({} as Record<string, string>);
  const withBody = (bodies: fc.Arbitrary<string>, expected: RestCase['expected']) =>
    fc
      .record({ body: bodies, headers: noHeaders })
      .map((parts): RestCase => ({ ...base, ...parts, expected }));
  return fc.oneof(
    { weight: 4, arbitrary: withBody(valid(request).map(json), known(null)) },
    {
      weight: 1,
      arbitrary: fc
        .record({ body: valid(request).map(json), headers: headers as typeof noHeaders })
        .map((parts): RestCase => ({ ...base, ...parts, expected: 'any' })),
    },
    {
      weight: 1,
      arbitrary: withBody(
        fc.tuple(extraFields, valid(request)).map((all) => json(Object.assign({}, ...all))),
        known(null),
      ),
    },
    {
      weight: 4,
      arbitrary: fc
        .record({ nearly: nearlyValid(request), headers: noHeaders })
        .map(({ nearly: { value, field, how }, headers }): RestCase => {
          const gone = how === 'missing' || value[field] === null || value[field] === '';
          const code = (gone ? 'missing_field' : `invalid_${field}`) as RestErrorCode;
          const expected = known([code]);
          return { ...base, body: json(value), headers, expected, ...(isPurge ? {} : { field }) };
        }),
    },
    { weight: 1, arbitrary: withBody(noJson, ['invalid_json']) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(valid(request).map(json), deepJson, headers as typeof noHeaders)
        .map(([whole, deep, given]): RestCase => {
          const body = `{"x":${deep},${whole.slice(1)}`.replace(',}', '}');
          return { ...base, body, headers: given, expected: ['invalid_json'] };
        }),
    },
    // JSON null stands for an absent body.
    {
      weight: 1,
      arbitrary: withBody(
        noObject.filter((text) => text !== 'null'),
        ['invalid_json'],
      ),
    },
    { weight: 1, arbitrary: withBody(anything.map(json), 'any') },
  );
}

const json = (value: unknown): string => JSON.stringify(value);

const getCases: fc.Arbitrary<RestCase> = fc
  .oneof(
    valuesOf(wire.RoomId).map((id) => ({
      query: `?roomid=${encodeURIComponent(id as string)}`,
      expected: null,
    })),
    fc.string({ unit: 'binary-ascii' }).map((raw) => ({
      query: `?roomid=${raw.replace(/[^!-"$-~]/g, '+')}`,
      expected: 'any' as const,
    })),
    fc.constantFrom('', '?', '?roomid', '?roomid=', '?ROOMID=x').map((query) => ({
      query,
      expected: ['missing_field' as const],
    })),
    fc.constantFrom('%ff', '%', '%2', '%ed%a0%80').map((raw) => ({
      query: `?roomid=a${raw}`,
      expected: null,
    })),
    fc.constantFrom('?roomid=a&roomid=b', `?roomid=${'x'.repeat(257)}`).map((query) => ({
      query,
      expected: ['invalid_roomid' as const],
    })),
  )
  .map((parts) => ({ endpoint: GET_ROOM, body: undefined, headers: {}, ...parts }));

/** Requests that are sent concurrently. */
export const restCases: fc.Arbitrary<RestCase[]> = fc.array(
  fc.oneof(...ENDPOINTS.map(casesOf), getCases),
  { minLength: 1, maxLength: 8 },
);
