// Who a request comes from, and what limits count it as.
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { addressKey, clientAddress, trustProxy } from '../../src/platform/client-address.js';
import { parseConfig } from '../../src/platform/config.js';

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::ffff:c000:207', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:DB8:1:2::9', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['', 'unknown'],
  ['unix:', 'unknown'],
])('%j counts as %s', (address, key) => {
  expect(addressKey(address)).toBe(key);
});

function request(remoteAddress: string, forwardedFor: string): IncomingMessage {
  const headers = { 'x-forwarded-for': forwardedFor };
  return { headers, socket: { remoteAddress } } as unknown as IncomingMessage;
}

test.each([
  ['no proxy is trusted by default', '', '10.0.0.1'],
  ['one hop', '1', '203.0.113.9'],
  ['two hops', '2', '198.51.100.4'],
  ['an address', '10.0.0.1', '203.0.113.9'],
  ['ranges', '10.0.0.0/8, 203.0.113.0/24', '198.51.100.4'],
  ['named ranges', 'uniquelocal', '203.0.113.9'],
  ['another address', '192.0.2.1', '10.0.0.1'],
])('TRUST_PROXY: %s', (_title, value, expected) => {
  const trust = trustProxy({ trustProxy: value });
  expect(clientAddress(request('10.0.0.1', '198.51.100.4, 203.0.113.9'), trust)).toBe(expected);
});

test.each(['abc', '10.0.0.0/99', '1.2.3.4.5', '::1, fe'])(
  'TRUST_PROXY=%s is a fault of the configuration, not a crash at the start',
  (text) => {
    expect(() => parseConfig({ TRUST_PROXY: text })).toThrow(/TRUST_PROXY/);
  },
);

test.each(['0', '2', 'loopback', '10.0.0.0/8, fd00::/8', '192.0.2.1'])(
  'TRUST_PROXY=%s is understood',
  (text) => {
    expect(parseConfig({ TRUST_PROXY: text }).trustProxy).toBe(text);
  },
);
