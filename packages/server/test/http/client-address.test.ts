// The client address of a request, and its key for limits.
import type { IncomingMessage } from 'node:http';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { addressKey, clientAddress, trustProxy } from '../../src/http/client-address.js';
import { captureLog } from '../support/captured-log.js';

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
])('%j has the key %s', (address, key) => {
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

test.each([
  ['198.51.100.5:50123', '198.51.100.5'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['"198.51.100.5"', '198.51.100.5'],
  ['"[2001:db8::1]:443"', '2001:db8::1'],
  ['for=198.51.100.5', '198.51.100.5'],
  ['For="[2001:db8::1]:_port";proto=https;by=203.0.113.1', '2001:db8::1'],
  ['[198.51.100.5]:80', '198.51.100.5'],
  [' \t198.51.100.5:1 ', '198.51.100.5'],
  ['2001:db8::1:443', '2001:db8::1:443'],
  ['::ffff:198.51.100.5', '::ffff:198.51.100.5'],
])('the X-Forwarded-For entry %j is parsed as %s', (entry, address) => {
  const trust = trustProxy({ trustProxy: '10.0.0.0/8' });
  let unreadable = 0;
  trust.onUnreadable = () => unreadable++;
  expect(clientAddress(request('10.0.0.1', entry), trust)).toBe(address);
  // A chain of proxies that all add a port.
  const chain = `192.0.2.1:9, ${entry}, 10.0.0.2:50123,"[::ffff:10.0.0.3]:1"`;
  expect(clientAddress(request('10.0.0.1', chain), trust)).toBe(address);
  expect(unreadable).toBe(0);
});

test.each(['unknown', '_hidden', '[2001:db8::1', '198.51.100.5:', 'chat.example.org:443', '1.2.3'])(
  'the entry %j is logged once as a warning without its text',
  async (entry) => {
    const { log, lines } = captureLog();
    const { url } = await serverForTest({ TRUST_PROXY: '1' }, { log });
    const headers = { 'x-forwarded-for': entry };
    for (let n = 0; n < 3; n++) await fetch(url, { headers });
    const warnings = lines().filter(({ msg }) => /not an IP address/.test(String(msg)));
    expect(warnings).toHaveLength(1);
    expect(JSON.stringify(warnings)).not.toContain(entry);
  },
);
