// REDIS_URL: all forms and all faults, none of which quotes the value.
import { expect, test } from 'vitest';
import { ConfigError, parseConfig } from '../../src/settings/config.js';
import { parseRedisUrl } from '../../src/settings/redis.js';

const common = { tls: false, credentials: {}, database: 0, isCluster: false };

test.each([
  ['redis://localhost', { ...common, hosts: [{ host: 'localhost', port: 6379 }] }],
  [
    'rediss://us%40er:p%3Ass@[::1]:7000/3',
    {
      ...common,
      tls: true,
      hosts: [{ host: '::1', port: 7000 }],
      credentials: { username: 'us@er', password: 'p:ss' },
      database: 3,
    },
  ],
  [
    'redis://:secret@a:1,b:2,c?cluster',
    {
      ...common,
      isCluster: true,
      hosts: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
        { host: 'c', port: 6379 },
      ],
      credentials: { password: 'secret' },
    },
  ],
  [
    'redis://user@a,b:2/1?sentinel=main&sentinelPassword=x%26y',
    {
      ...common,
      hosts: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 2 },
      ],
      credentials: { username: 'user' },
      database: 1,
      sentinel: { master: 'main', credentials: { password: 'x&y' } },
    },
  ],
])('%s is accepted', (text, target) => {
  expect(parseRedisUrl(text)).toEqual({ target });
});

test.each([
  ['http://localhost', 'must have the form'],
  ['redis://', 'must have the form'],
  ['redis://h/x', 'must have the form'],
  ['redis://a b', 'has an invalid host or port'],
  ['redis://h:99999', 'has an invalid host or port'],
  ['redis://a,,b?cluster', 'has an invalid host or port'],
  ['redis://a,b', 'needs ?cluster or ?sentinel'],
  ['redis://a?cluster&sentinel=x', 'cannot have both'],
  ['redis://a?sentinel=', 'needs the name of the master'],
  ['redis://a/1?cluster', 'has a database'],
  ['redis://a?clutser', 'has an unknown option'],
  ['redis://%zz:x@a', 'not valid percent-encoding'],
])('%s is refused because it %s', (text, fault) => {
  expect(parseRedisUrl(text)).toEqual({ fault: expect.stringContaining(fault) });
});

test('an invalid REDIS_URL is reported without its value', () => {
  expect(() => parseConfig({ REDIS_URL: 'redis://user:secret@h/x' })).toThrow(
    new ConfigError(['REDIS_URL: the value given must have the form redis://host:6379']),
  );
});

test('REQUIRE_PAIRED_ROOMS is allowed with Redis', () => {
  const env = { REDIS_URL: 'redis://localhost', REQUIRE_PAIRED_ROOMS: '1' };
  expect(parseConfig(env).requirePairedRooms).toBe(true);
});
