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
