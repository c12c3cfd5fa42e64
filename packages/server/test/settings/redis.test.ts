// REDIS_URL: all forms and all faults.
import { expect, test } from 'vitest';
import { parseRedisUrl } from '../../src/settings/redis.js';

const common = { tls: false, credentials: {}, database: 0, isCluster: false };

test.each([
  ['redis://localhost', ['localhost:6379'], {}],
  [
    'rediss://us%40er:p%3Ass@[::1]:7000/3',
    ['::1:7000'],
    { tls: true, credentials: { username: 'us@er', password: 'p:ss' }, database: 3 },
  ],
  [
    'redis://:secret@a:1,b:2,c?cluster',
    ['a:1', 'b:2', 'c:6379'],
    { isCluster: true, credentials: { password: 'secret' } },
  ],
  [
    'redis://user@a,b:2/1?sentinel=main&sentinelPassword=x%26y',
    ['a:26379', 'b:2'],
    {
      credentials: { username: 'user' },
      database: 1,
      sentinel: { master: 'main', credentials: { password: 'x&y' } },
    },
  ],
])('%s is accepted', (text, addresses, more) => {
  const parsed = parseRedisUrl(text);
  if ('fault' in parsed) expect.fail(parsed.fault);
  const { hosts, ...target } = parsed.target;
  expect(hosts.map(({ host, port }) => `${host}:${port}`)).toEqual(addresses);
  expect(target).toEqual({ ...common, ...more });
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
