// What is handed out to whom: configuration, user and time → RTCIceServer[].
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/platform/config.js';
import { turnCredentials } from '../../src/turn/credentials.js';
import { createIceServers } from '../../src/turn/ice-servers.js';
import { FakeClock } from '../support/fake-clock.js';

const TURN = {
  TURN_SECRET: 'the-first-secret-of-two,the-second-secret-of-two',
  TURN_URLS: 'turn:turn.example.org:3478, turn:turn.example.org:3478?transport=tcp',
};
const STUN = { STUN_URLS: 'stun:turn.example.org:3478' };
const seat = (pairedDevice: string | null) => ({ roomId: 'room', pairedDevice });

function serversFor(env: Record<string, string>, clock = new FakeClock()) {
  return createIceServers(parseConfig(env), clock);
}

describe('a paired device', () => {
  test('gets the STUN servers, then the TURN servers with credentials, then the further ones', () => {
    const extra = { urls: 'turn:fallback.example.net', username: 'u', credential: 'c' };
    const noted = { ...extra, comment: 'for operators only' };
    const env = { ...TURN, ...STUN, ICE_SERVERS_EXTRA: JSON.stringify([noted]) };
    const servers = serversFor(env).forDevice('room', 'device');
    expect(servers).toEqual([
      { urls: ['stun:turn.example.org:3478'] },
      {
        urls: ['turn:turn.example.org:3478', 'turn:turn.example.org:3478?transport=tcp'],
        username: expect.stringMatching(/^\d+:[\w-]{22}$/),
        credential: expect.stringMatching(/^[A-Za-z0-9+/]{27}=$/),
      },
      extra,
    ]);
  });

  test('gets credentials of the first secret that end when the TTL does', () => {
    const clock = new FakeClock(1_767_225_600_999);
    const [server] = serversFor({ ...TURN, TURN_TTL_SECONDS: '60' }, clock).forDevice('r', 'd');
    const [expiry, userId] = (server?.username ?? '').split(':') as [string, string];
    expect(expiry).toBe('1767225660');
    expect(server).toMatchObject(turnCredentials('the-first-secret-of-two', userId, 1767225660));
  });

  test('is one user of coturn, however often it asks', () => {
    const clock = new FakeClock();
    const servers = serversFor(TURN, clock);
    const userOf = () => servers.forDevice('room', 'device')[0]?.username?.split(':')[1];
    const first = userOf();
    clock.advance(5000);
    expect(userOf()).toBe(first);
    expect(servers.for(seat('device'), 'connection')[0]?.username).toContain(first);
  });

  test('gets the STUN servers also without TURN, and an empty list without either', () => {
    expect(serversFor(STUN).forDevice('room', 'device')).toEqual([
      { urls: ['stun:turn.example.org:3478'] },
    ]);
    expect(serversFor({}).forDevice('room', 'device')).toEqual([]);
  });
});

describe('a member that nobody vouches for', () => {
  test('gets nothing, not even what needs no credentials', () => {
    const extra = JSON.stringify([{ urls: 'stun:x.example' }]);
    const servers = serversFor({ ...TURN, ...STUN, ICE_SERVERS_EXTRA: extra });
    expect(servers.for(seat(null), 'connection')).toEqual([]);
  });

  test('gets the same as a paired device where the configuration serves everyone', () => {
    const servers = serversFor({ ...TURN, ICE_SERVERS_FOR_ALL: '1' });
    const [one] = servers.for(seat(null), 'connection 1');
    const [other] = servers.for(seat(null), 'connection 2');
    expect(one?.credential).toBeDefined();
    expect(one?.username).not.toBe(other?.username);
  });

  test('cannot take a paired device’s user id by its connection id', () => {
    const servers = serversFor({ ...TURN, ICE_SERVERS_FOR_ALL: '1' });
    const [claimed] = servers.for(seat(null), 'device');
    const [paired] = servers.for(seat('device'), 'connection');
    expect(claimed?.username).not.toBe(paired?.username);
  });
});
