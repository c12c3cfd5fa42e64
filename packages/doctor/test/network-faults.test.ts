// Tests the explanations of network and certificate faults that doctor.test.ts and ice-servers.test.ts do not cause.
import { expect, test } from 'vitest';
import { explainFault } from '../src/network-faults.js';

/** A closed port, so that no certificate can be read again. */
const where = { server: { host: '127.0.0.1', port: 1 } };
const withCode = (code: string) => Object.assign(new Error('SECRET'), { code });

test.each([
  ['EAI_AGAIN', /is unknown/, /DNS/],
  ['EHOSTUNREACH', /no route to/, /network/],
  ['ENETUNREACH', /no route to/, /network/],
  ['ECONNRESET', /closed the connection/, /TLS/],
  ['EPIPE', /closed the connection/, /TLS/],
  ['ERR_SSL_WRONG_VERSION_NUMBER', /does not use TLS/, /http:\/\//],
  ['CERT_NOT_YET_VALID', /not valid yet/, /clock/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /no trusted authority/, /fullchain/],
  ['UNABLE_TO_GET_ISSUER_CERT', /no trusted authority/, /fullchain/],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /no trusted authority/, /fullchain/],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /no trusted authority/, /NODE_EXTRA_CA_CERTS/],
  ['SELF_SIGNED_CERT_IN_CHAIN', /no trusted authority/, /NODE_EXTRA_CA_CERTS/],
  ['E_SOMETHING', /failed \(E_SOMETHING\)/, /again/],
])('%s', async (code, detail, advice) => {
  const fault = await explainFault(withCode(code), where);
  expect(fault.detail).toMatch(detail);
  expect(fault.advice).toMatch(advice);
  expect(fault.detail + fault.advice).not.toContain('SECRET');
});

test.each<[string, unknown, RegExp]>([
  [
    'a name with several addresses is explained by the first attempt',
    new AggregateError([withCode('ECONNREFUSED')]),
    /nothing listens/,
  ],
  [
    'an error without a code is named by its class',
    new TypeError('SECRET'),
    /failed \(TypeError\)/,
  ],
  ['a thrown value that is not an error is unknown', 'SECRET', /failed \(unknown\)/],
  ['undefined is unknown', undefined, /failed \(unknown\)/],
])('%s', async (_title, error, detail) => {
  expect((await explainFault(error, where)).detail).toMatch(detail);
});
