// The client address of a request, and its key for limits.
import type { IncomingMessage } from 'node:http';
import { call, someCode, someDevice } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { serverForTest, startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { addressKey, clientAddress, trustProxy } from '../../src/http/client-address.js';
import { parseConfig } from '../../src/settings/config.js';
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

test('X-Forwarded-For of an untrusted peer is ignored', () => {
  const trust = trustProxy({ trustProxy: '10.0.0.0/8' });
  expect(clientAddress(request('192.0.2.1', '198.51.100.5:50123'), trust)).toBe('192.0.2.1');
});

test.each(['unknown', '_hidden', '[2001:db8::1', '198.51.100.5:', 'chat.example.org:443', '1.2.3'])(
  'the entry %j counts as unknown and is logged once as a warning without its text',
  async (entry) => {
    const { log, lines } = captureLog();
    const server = await startServer({ TRUST_PROXY: '1' }, { log });
    onTestFinished(() => server.close());
    const headers = { 'x-forwarded-for': entry };
    for (let n = 0; n < 3; n++) await fetch(server.url, { headers });
    const warnings = lines().filter(({ msg }) => /not an IP address/.test(String(msg)));
    expect(warnings).toHaveLength(1);
    expect(JSON.stringify(warnings)).not.toContain(entry);
  },
);

test('limits count each client behind a proxy that adds ports, over REST and WebSocket', async () => {
  const settings = {
    TRUST_PROXY: '1',
    MAX_CREATES_PER_HOUR: '1',
    MAX_CONNECTIONS_PER_ADDRESS: '1',
  };
  const server = await serverForTest(settings);
  const create = async (address: string) => {
    const body = { joinid: someCode(), client1: someDevice(), expiresInSeconds: 60 };
    const headers = { 'x-forwarded-for': address };
    return (await call(server.url, 'POST', '/api/rooms', body, headers)).status;
  };
  expect(await create('198.51.100.5:50123')).toBe(201);
  expect(await create('198.51.100.6:50124')).toBe(201);
  expect(await create('[2001:db8:1::1]:443')).toBe(201);
  expect(await create('[2001:db8:2::1]')).toBe(201);
  expect(await create('198.51.100.5:50999')).toBe(429);
  const connect = (address: string) =>
    Peer.connect(server.wsUrl, { headers: { 'x-forwarded-for': address } });
  await connect('198.51.100.5:50123');
  await connect('198.51.100.6:50123');
  await expect(connect('198.51.100.5:50124')).rejects.toThrow();
});

test.each(['abc', '10.0.0.0/99', '1.2.3.4.5', '::1, fe'])(
  'TRUST_PROXY=%s is reported as a fault of the configuration',
  (text) => {
    expect(() => parseConfig({ TRUST_PROXY: text })).toThrow(/TRUST_PROXY/);
  },
);

test.each(['0', '2', 'loopback', '10.0.0.0/8, fd00::/8', '192.0.2.1'])(
  'TRUST_PROXY=%s is accepted',
  (text) => {
    expect(parseConfig({ TRUST_PROXY: text }).trustProxy).toBe(text);
  },
);
