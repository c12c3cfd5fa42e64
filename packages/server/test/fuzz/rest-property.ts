// Fuzzes REST: each answer is the one expected for its request, in the form of the schema and the table.
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import * as wire from '@couplet/protocol/schema';
import { Compile } from 'typebox/compile';
import type { RestCase } from './rest-arbitrary.js';

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
  const sent = request(url, { agent, method, headers: { ...headers, ...length } });
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
