// Tests the parsing of addresses of ICE servers and in STUN messages.
import { describe, expect, test } from 'vitest';
import { parseIceUrl } from '../src/ice-target.js';
import { isPrivate, withPort } from '../src/ip-address.js';
import { decode, encode, errorOf, readXorAddress, xorAddress } from '../src/stun-message.js';

describe('an ICE server', () => {
  test.each([
    ['stun:a.example', 'stun', 'udp', 'a.example', 3478],
    ['stuns:a.example', 'stun', 'tls', 'a.example', 5349],
    ['turn:a.example:80', 'turn', 'udp', 'a.example', 80],
    ['TURN:a.example?transport=TCP', 'turn', 'tcp', 'a.example', 3478],
    ['turns:a.example', 'turn', 'tls', 'a.example', 5349],
    ['turns:a.example:443?transport=tcp', 'turn', 'tls', 'a.example', 443],
    ['turns:a.example?transport=udp', 'turn', 'dtls', 'a.example', 5349],
    ['turn:[2001:db8::1]:3478', 'turn', 'udp', '2001:db8::1', 3478],
  ])('%s', (url, kind, transport, host, port) => {
    expect(parseIceUrl(url)).toEqual({ kind, transport, server: { host, port } });
  });

  test.each([
    '',
    'http://a',
    'turn:',
    'turn://a',
    'stun:a?transport=udp',
    'turn:a?x=y',
    'turn:a b',
  ])('%j is not an ICE server', (url) => {
    expect(parseIceUrl(url)).toBeUndefined();
  });
});

test('private and public addresses are distinguished', () => {
  const inner = [
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '172.31.0.1',
    '192.168.1.1',
    '::1',
    'fd00::1',
  ];
  expect(inner.filter((ip) => !isPrivate(ip))).toEqual([]);
  expect(['8.8.8.8', '172.32.0.1', '2001:4860::1'].filter(isPrivate)).toEqual([]);
  expect(withPort({ ip: '::1', port: 5 })).toBe('[::1]:5');
});

describe('a STUN message', () => {
  const id = Buffer.alloc(12, 7);

  test.each(['198.51.100.7', '2001:db8::1', '::1'])('carries the address %s', (ip) => {
    const address = { ip, port: 40_000 };
    expect(readXorAddress(xorAddress(address, id), id)).toEqual(address);
  });

  test('that is truncated or not STUN is ignored', () => {
    const whole = encode('binding', 'success', [['xorMappedAddress', Buffer.alloc(3)]]);
    for (let end = 0; end < whole.length; end++) decode(whole.subarray(0, end));
    expect(decode(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))).toBeUndefined();
    expect(readXorAddress(Buffer.alloc(3), id)).toBeUndefined();
    const odd = decode(encode('binding', 'error', [['errorCode', Buffer.alloc(1)]]));
    expect(odd && errorOf(odd)).toEqual({ code: 0, reason: '' });
  });
});
