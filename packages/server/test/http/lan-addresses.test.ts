// Which addresses other devices can reach: none of this machine alone, and none of bridges.
import type { Server } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { expect, test } from 'vitest';
import { lanAddresses, lanOrigins } from '../../src/http/lan-addresses.js';

const at = (address: string, family: 'IPv4' | 'IPv6' = 'IPv4') =>
  ({ address, family }) as NetworkInterfaceInfo;
const INTERFACES = {
  lo: [at('127.0.0.1'), at('::1', 'IPv6')],
  docker0: [at('172.17.0.1')],
  eth0: [at('203.0.113.9'), at('fe80::1', 'IPv6')],
  wlan0: [at('192.168.1.10')],
  wlan1: [at('169.254.3.4')],
};

test.each([
  ['0.0.0.0', ['192.168.1.10', '203.0.113.9']],
  ['::', ['192.168.1.10', '203.0.113.9']],
  ['127.0.0.1', []],
  ['::1', []],
  ['192.168.1.10', ['192.168.1.10']],
])('a server on %s has the addresses %j, private ones first', (bound, addresses) => {
  expect(lanAddresses(bound, INTERFACES)).toEqual(addresses);
});

test.each([
  [{ address: '192.168.1.10', port: 8081 }, ['https://192.168.1.10:8081']],
  [{ address: 'fd00::10', port: 443 }, ['https://[fd00::10]']],
  [{ address: '127.0.0.1', port: 8081 }, []],
  [null, []],
])('a server at %j has the origins %j', (address, origins) => {
  expect(lanOrigins('https', { address: () => address } as unknown as Server)).toEqual(origins);
});
