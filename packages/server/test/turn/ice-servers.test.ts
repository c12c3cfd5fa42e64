// ICE servers for devices and members, depending on configuration, user and time.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/settings/config.js';
import { turnCredentials } from '../../src/turn/credentials.js';
import { createIceServers } from '../../src/turn/ice-servers.js';

const TURN = {
  TURN_SECRET: 'the-first-secret-of-two,the-second-secret-of-two',
  TURN_URLS: 'turn:turn.example.org:3478, turn:turn.example.org:3478?transport=tcp',
};
const STUN = { STUN_URLS: 'stun:turn.example.org:3478' };
const connection = { id: 'connection', address: '192.0.2.1' };
const seat = (pairedDevice: string | null) => ({ roomId: 'room', pairedDevice });

/** Returns the result of `forDevice` for a new address. */
function listFor(
  env: Record<string, string>,
  clock = new FakeClock(),
): { username?: string; credential?: string }[] {
  const granted = serversFor(env, clock).forDevice('192.0.2.1', 'room', 'device');
  return granted.kind === 'granted' ? granted.iceServers : [];
}

function serversFor(env: Record<string, string>, clock = new FakeClock()) {
  return createIceServers(parseConfig(env), clock);
}

describe('a paired device', () => {
  test('gets the STUN servers, then the TURN servers with credentials, then the extra servers', () => {
    const extra = { urls: 'turn:fallback.example.net', username: 'u', credential: 'c' };
    const noted = { ...extra, comment: 'for operators only' };
    const env = { ...TURN, ...STUN, ICE_SERVERS_EXTRA: JSON.stringify([noted]) };
    expect(listFor(env)).toEqual([
      { urls: ['stun:turn.example.org:3478'] },
      {
        urls: ['turn:turn.example.org:3478', 'turn:turn.example.org:3478?transport=tcp'],
        username: expect.stringMatching(/^\d+:[\w-]{22}$/),
        credential: expect.stringMatching(/^[A-Za-z0-9+/]{27}=$/),
      },
      extra,
    ]);
  });

  test('gets credentials made with the first secret, and their remaining lifetime', () => {
    const clock = new FakeClock(1_767_225_600_999);
    const servers = serversFor({ ...TURN, TURN_TTL_SECONDS: '60' }, clock);
    const granted = servers.forDevice('192.0.2.1', 'r', 'd');
    if (granted.kind !== 'granted') throw new Error('it is limited');
    const [server] = granted.iceServers;
    const [expiry, userId] = (server?.username ?? '').split(':') as [string, string];
    expect(Number(expiry)).toBe(1_767_225_600 + granted.ttlSeconds);
    expect(server).toMatchObject(
      turnCredentials('the-first-secret-of-two', userId, Number(expiry)),
    );
  });

  test('is the same user for half of the TTL, on every node, from every address', () => {
    const clock = new FakeClock();
    const users = new Set<string | undefined>();
    const nodes = [serversFor(TURN, clock), serversFor(TURN, clock)] as const;
    for (let second = 0; second < 3600; second += 10) {
      const granted = nodes[0].forDevice(`address ${second}`, 'room', 'device');
      users.add(granted.kind === 'granted' ? granted.iceServers[0]?.username : undefined);
      users.add(nodes[1].for(seat('device'), connection)[0]?.username);
      clock.advance(10_000);
    }
    expect(users.size).toBe(3);
    expect(new Set([...users].map((user) => user?.split(':')[1])).size).toBe(1);
  });
});

describe('an unverified member', () => {
  test('gets an empty list, even without servers that need no credentials', () => {
    const extra = JSON.stringify([{ urls: 'stun:x.example' }]);
    const servers = serversFor({ ...TURN, ...STUN, ICE_SERVERS_EXTRA: extra });
    expect(servers.for(seat(null), connection)).toEqual([]);
  });

  test('cannot get the user id of a paired device by its connection id', () => {
    const servers = serversFor({ ...TURN, ICE_SERVERS_FOR_ALL: '1' });
    const [claimed] = servers.for(seat(null), { ...connection, id: 'device' });
    const [paired] = servers.for(seat('device'), connection);
    expect(claimed?.username).not.toBe(paired?.username);
  });
});

describe('an address', () => {
  const LIMITED = {
    ...TURN,
    ...STUN,
    ICE_SERVERS_FOR_ALL: '1',
    MAX_TURN_CREDENTIALS_PER_HOUR: '3',
  };
  const without = [{ urls: ['stun:turn.example.org:3478'] }];

  test('that reconnects again and again does not get an unlimited number of users', () => {
    const servers = serversFor(LIMITED);
    const lists = Array.from({ length: 10 }, (_, n) =>
      servers.for(seat(null), { id: `connection ${n}`, address: 'a' }),
    );
    expect(lists.filter((list) => list.length === 2)).toHaveLength(3);
    expect(lists.slice(3)).toEqual(Array(7).fill(without));
  });
});
