// Tests the error class and its codes.
import { REST_ERRORS, SIGNALING_ERRORS } from '@couplet/protocol';
import { expect, test } from 'vitest';
import { answerError, CoupletError, type CoupletErrorCode, refusalError } from '../src/errors.js';

test.each(Object.entries(REST_ERRORS))('an answer with %s has that code', (code, { status }) => {
  const error = answerError({
    status,
    body: { error: code, details: 'why' },
    retryAfterSeconds: 7,
  });
  expect(error).toMatchObject({ code, message: 'why', retryAfterSeconds: 7 });
});

test.each([
  [502, undefined],
  [418, { error: "I'm a teapot" }],
  [404, { error: 'Not Found' }],
  [400, { error: 404 }],
  [400, { 0: 'conflict' }],
  [200, { error: 'conflict' }],
])('%i %j is no answer of the protocol', (status, body) => {
  expect(answerError({ status, body })).toMatchObject({
    code: 'unexpected_answer',
    message: `Expected a Couplet server, got status ${status}.`,
  });
});

test('an error without a message from the server gets one for people', () => {
  const codes = [...Object.keys(REST_ERRORS), 'closed', 'not_connected', 'of_a_later_version'];
  for (const code of codes as CoupletErrorCode[]) {
    expect(new CoupletError(code).message).toMatch(/^[A-Za-z][a-zA-Z0-9 ]+\.$/);
  }
  expect(new CoupletError('closed').message).toBe('The session is closed.');
  expect(answerError({ status: 403, body: { error: 'of_a_later_version' } })).toMatchObject({
    code: 'of_a_later_version',
    message: 'of a later version.',
  });
});

test('if a redirect turned POST into GET, the error contains its target', () => {
  const redirectedTo = 'https://couplet.example/api/rooms';
  const of = (status: number, error?: string) =>
    answerError({ status, body: { error }, redirectedTo });
  for (const error of [of(400, 'missing_field'), of(404, 'not_found'), of(200), of(403)]) {
    expect(error.code).toBe('unexpected_answer');
    expect(error.message).toContain(` from ${redirectedTo}`);
  }
  // 307 and 308 keep the method, so the answer is the server's own.
  expect(of(404, 'not_found_or_expired').code).toBe('not_found_or_expired');
});

test('a permanent refusal of a join is final, a temporary one is not', () => {
  expect(refusalError({ code: 'room_full', error: 'full' })).toMatchObject({
    code: 'room_full',
    message: 'full',
  });
  expect(refusalError({ code: 'forbidden' })).toMatchObject({
    message: 'The server has no such pairing.',
  });
  expect(refusalError({ code: 'unavailable' })).toBeUndefined();
});

test('the signaling codes that a repeated join would get again are final', () => {
  const codes = [...Object.keys(SIGNALING_ERRORS), 'of_a_later_version'];
  const passing = codes.filter((code) => refusalError({ code }) === undefined);
  expect(passing).toEqual([
    // Codes for other messages than a join.
    ...['invalid_sdp', 'invalid_mac', 'invalid_candidate', 'invalid_public_key'],
    ...['invalid_session_id', 'invalid_timestamp', 'not_in_room', 'no_peer'],
    ...['peer_present', 'no_push_target', 'push_too_soon', 'push_failed'],
    // Temporary codes.
    ...['rate_limited', 'unavailable', 'of_a_later_version'],
  ]);
});
