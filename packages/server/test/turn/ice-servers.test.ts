// ICE servers for devices and members, and the time-limited TURN credentials in them (docs/turn.md).
import { FakeClock } from '@couplet/testkit/fake-clock';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/settings/config.js';
import { expiryOf, opaqueUserId, turnCredentials } from '../../src/turn/credentials.js';
import { createIceServers } from '../../src/turn/ice-servers.js';

const TURN = {
  TURN_SECRET: 'the-first-secret-of-two,the-second-secret-of-two',
  TURN_URLS: 'turn:turn.example.org:3478, turn:turn.example.org:3478?transport=tcp',
  STUN_URLS: 'stun:turn.example.org:3478',
};
const stun = { urls: ['stun:turn.example.org:3478'] };
const connection = { id: 'connection', address: '192.0.2.1' };
const seat = (pairedDevice: string | null) => ({ roomId: 'room', pairedDevice });

const serversFor = (env: Record<string, string>, clock = new FakeClock()) =>
  createIceServers(parseConfig(env), clock);

test.each([
  ['AAECAwQFBgcICQoLDA0ODw', 1767229200, 'Wgd7K6H+JNeTqL/QAf+gaIzfIQQ='],
  ['x', 1, 'if+dnVjdNOPkklzV7PSQhxZUNXc='],
])('user %s until %d has the expected credential', (userId, expiresAt, credential) => {
  expect(turnCredentials('north-star-secret-1', userId, expiresAt)).toEqual({
    username: `${expiresAt}:${userId}`,
    credential,
  });
});

test('the id of a user is always the same, and differs for another device, room or secret, even if the concatenated ids are the same', () => {
  const secret = 'north-star-secret-1';
  expect(opaqueUserId(secret, 'room', 'device')).toBe('AqFxVv3HqaxOt8yLRrdvHg');
  const ids = [
    opaqueUserId(secret, 'room', 'device'),
    opaqueUserId(secret, 'room', 'device2'),
    opaqueUserId(secret, 'room2', 'device'),
    opaqueUserId(secret, 'roomd', 'evice'),
    opaqueUserId(secret, 'room","device', ''),
    opaqueUserId(`${secret}x`, 'room', 'device'),
  ];
  expect(new Set(ids).size).toBe(ids.length);
  const expiries = Array.from({ length: 50 }, (_, n) =>
    expiryOf(opaqueUserId(secret, 'room', `device ${n}`), 3600, 1_800_000_000),
  );
  expect(new Set(expiries).size, 'not all expire at the same time').toBeGreaterThan(40);
});

describe('a paired device', () => {
  test('gets the STUN servers, TURN servers with credentials of the first secret and their remaining lifetime, and the extra servers', () => {
    const extra = { urls: 'turn:fallback.example.net', username: 'u', credential: 'c' };
    const noted = JSON.stringify([{ ...extra, comment: 'for operators only' }]);
    const env = { ...TURN, TURN_TTL_SECONDS: '60', ICE_SERVERS_EXTRA: noted };
    const granted = serversFor(env, new FakeClock(1_767_225_600_999)).forDevice('a', 'r', 'd');
    if (granted.kind !== 'granted') throw new Error('it is limited');
    const expiry = 1_767_225_600 + granted.ttlSeconds;
    const userId = granted.iceServers[1]?.username?.split(':')[1] ?? '';
    const credentials = turnCredentials('the-first-secret-of-two', userId, expiry);
    const urls = ['turn:turn.example.org:3478', 'turn:turn.example.org:3478?transport=tcp'];
    expect(granted.iceServers).toEqual([stun, { urls, ...credentials }, extra]);
  });

  test('is the same TURN user for half of the TTL, on every node and from every address, and always has more than half of the TTL left', () => {
    const clock = new FakeClock();
    const users = new Set<string | undefined>();
    const nodes = [serversFor(TURN, clock), serversFor(TURN, clock)] as const;
    for (let second = 0; second < 3600; second += 10) {
      const granted = nodes[0].forDevice(`address ${second}`, 'room', 'device');
      if (granted.kind !== 'granted') throw new Error('it is limited');
      expect(granted.ttlSeconds).toBeGreaterThan(1800);
      expect(granted.ttlSeconds).toBeLessThanOrEqual(3600);
      users.add(granted.iceServers[1]?.username);
      users.add(nodes[1].for(seat('device'), connection)[1]?.username);
      clock.advance(10_000);
    }
    expect(users.size).toBe(3);
    expect(new Set([...users].map((user) => user?.split(':')[1])).size).toBe(1);
  });
});

test('an unverified member gets an empty list, even without servers that need no credentials', () => {
  const servers = serversFor({ ...TURN, ICE_SERVERS_EXTRA: '[{"urls":"stun:x.example"}]' });
  expect(servers.for(seat(null), connection)).toEqual([]);
});

describe('with ICE_SERVERS_FOR_ALL, an unverified member', () => {
  test('cannot get the user id of a paired device by its connection id', () => {
    const servers = serversFor({ ...TURN, ICE_SERVERS_FOR_ALL: '1' });
    const [, claimed] = servers.for(seat(null), { ...connection, id: 'device' });
    const [, paired] = servers.for(seat('device'), connection);
    expect(claimed?.username).not.toBe(paired?.username);
  });

  test('that reconnects again and again does not get an unlimited number of users', () => {
    const limit = { MAX_TURN_CREDENTIALS_PER_HOUR: '3' };
    const servers = serversFor({ ...TURN, ...limit, ICE_SERVERS_FOR_ALL: '1' });
    const lists = Array.from({ length: 10 }, (_, n) =>
      servers.for(seat(null), { ...connection, id: `connection ${n}` }),
    );
    expect(lists.filter((list) => list.length === 2)).toHaveLength(3);
    expect(lists.slice(3)).toEqual(Array(7).fill([stun]));
  });
});
