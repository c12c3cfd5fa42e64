// SECURITY.md, "Who can do what": every row is carried out, each "can" and each "cannot".

import { readFileSync } from 'node:fs';
import { call } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { serverForTest } from '@couplet/testkit/server';
import { Cast, play, type Site } from '@couplet/testkit/wire-stories';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { turnCredentials } from '../../src/turn/credentials.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';

const ADMIN_TOKEN = 'correct horse battery staple';
const TURN_SECRET = 'a-secret-for-the-wire-tests';
/** Sends notifications to a program that does not exist. */
const PUSH = {
  PUSH_WEBHOOK_URL: 'http://127.0.0.1:1/',
  PUSH_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
  // Longer than a test.
  PUSH_GRACE_SECONDS: '60',
};
const TURN = { TURN_SECRET, TURN_URLS: 'turn:turn.example.org:3478' };

/** The legitimate clients use the first site. Strangers use the last one (`far:`), which in a cluster is another node. */
interface World {
  sites: [Site, ...Site[]];
  cast: Cast;
  /** The Redis that stores the pairings, if there is one. */
  redis?: { url: string; prefix: string };
}

type OpenWorld = (env?: Record<string, string>) => Promise<World>;

/** Both devices of a pairing have sent their secrets. */
const BOTH = `a invites by r; b accepts r; a checks r with a = 200;
  b asks for ICE servers in r with b = 200`;

const story =
  (script: string, env: Record<string, string> = {}) =>
  async (open: OpenWorld) => {
    const { sites, cast } = await open(env);
    await play(script.trim(), sites, cast);
  };

/** By the first column of the table. In long stories, each paragraph has one state of the pairing, or what is possible in it. */
const ROWS: Record<string, (open: OpenWorld) => Promise<void>> = {
  'a live join code': story(
    `
    a invites by r; far: t accepts r = 200; far: t checks r with t = 404 not_found_or_expired;
    far: u accepts r = 409; far: v invites by r = 409 conflict; a checks r with a = 200
    `,
  ),
  'a join code and its creator’s device id': story(
    `
    a invites by r; b accepts r; far: a checks r = 200; c invites by s; far: c invites by s = 201;

    d invites by t; d checks t with d = 204;
    far: d checks t = 404 not_found_or_expired;
    far: d checks t with guess = 404 not_found_or_expired;
    far: d checks t with b = 404 not_found_or_expired;
    far: d invites by t = 409; far: d invites by t with guess = 409; far: d invites by t with b = 409;

    e accepts t = 200; far: d checks t = 404 not_found_or_expired; far: f accepts t = 409;
    d checks t with d = 200
    `,
  ),
  'a device id': story(
    `
    a and b pair by r; far: purge a = deleted 1 0; far: r is found = 404;

    c invites by s; d accepts s; c checks s with c = 200; e invites by t; e checks t with e = 204;
    far: purge c, d, e = deleted 0 0 kept 1 1;
    far: purge c, d, e with guess, a = deleted 0 0 kept 1 1; far: s is found = 200;
    far: c is found = 404; purge c, e with d, e = deleted 1 1
    `,
  ),
  'a room id': story(
    `
    a and b pair by r; far: r is found = 200; v joins r as a; far: x joins r as a = room_joined;
    v closed 4001 replaced; far: a asks for ICE servers in r = 200; far: b sets a token in r = 200;
    x wakes its peer = push_failed; x wakes its peer = push_too_soon; far: r is deleted = 200;

    c invites by s; d accepts s; c checks s with c = 200; w joins s as c with c = room_joined;
    far: n joins s = room_joined; n hangs up; far: soon: m joins s as d = room_joined;
    far: k joins s as d = room_joined; far: d asks for ICE servers in s = 200;

    far: p joins s as c = forbidden; far: p joins s as c with guess = forbidden;
    far: p joins s as c with d = forbidden; far: c asks for ICE servers in s = 403 forbidden;
    far: c asks for ICE servers in s with guess = 403 forbidden;
    far: c asks for ICE servers in s with d = 403 forbidden;
    far: c sets a token in s = 403 forbidden; far: c sets a token in s with guess = 403 forbidden;
    far: c sets a token in s with d = 403 forbidden; far: s is deleted = 403 forbidden;
    far: z asks for ICE servers in s = 403 forbidden; far: z sets a token in s = 403 forbidden;
    c asks for ICE servers in elsewhere with c = 403 forbidden;
    c sets a token in elsewhere with c = 403 forbidden;
    far: s is deleted with guess = 403 forbidden;
    far: d asks for ICE servers in s with guess = 403 forbidden;
    far: p joins s as d with guess = forbidden; w is open; w hangs up; far: q joins s = room_full;
    y joins s as c with c = room_joined;

    e invites by t; f accepts t; e checks t with e = 200; g joins t as e with e;
    h joins t as f with f; h told room_ready responder; g told room_ready initiator;

    far: f asks for ICE servers in t = 403 forbidden;
    far: i joins t = forbidden; far: i joins t as e = forbidden; far: i joins t as f = forbidden;
    far: i joins t as z = forbidden; g told nothing;
    h told nothing; h hangs up; g told peer_disconnected; far: i joins t = forbidden;
    far: t is deleted = 403 forbidden; far: t is found = 200
    `,
    { ...TURN, ...PUSH },
  ),
  'a room id, with `REQUIRE_PAIRED_ROOMS`': story(
    `
    c invites by s; d accepts s; c checks s with c = 200; far: x joins s as d = room_joined;

    far: y joins s as z = forbidden; far: y joins s = forbidden; far: y joins s as c = forbidden
    `,
    { REQUIRE_PAIRED_ROOMS: '1' },
  ),
  'a room id, with `REQUIRE_DEVICE_SECRETS`': story(
    `
    a invites by r; b accepts r; far: r is found = 200; far: a checks r = 403 forbidden;

    far: x joins r as a = forbidden; far: x joins r as b = forbidden; far: x joins r = forbidden;
    far: x joins r as z = forbidden; far: x joins r as a with guess = forbidden;
    far: x joins r as b with guess = forbidden; far: x joins r with guess = forbidden;
    far: x joins r as z with guess = forbidden;
    far: a asks for ICE servers in r = 403 forbidden;
    far: a asks for ICE servers in r with guess = 403 forbidden;
    far: a sets a token in r = 403 forbidden; far: r is deleted = 403 forbidden;
    far: r is deleted with guess = 403 forbidden; far: purge a = 403 forbidden;
    far: purge a with guess = deleted 0 0 kept 1 1;

    a checks r with a = 200; v joins r as a with a; w joins r as b with b; w told room_ready responder; v told room_ready initiator;
    far: y joins elsewhere = room_joined; purge b with b = deleted 1 0
    `,
    { REQUIRE_DEVICE_SECRETS: '1', ...TURN },
  ),
  'a room id and the secret of a device': story(
    `
    a invites by r; b accepts r; a checks r with a = 200; b asks for ICE servers in r with b = 200;
    far: b asks for ICE servers in r = 403 forbidden; g joins r as a with a; h joins r as b with b; h told room_ready responder;
    g told room_ready initiator; far: x joins r as b with b = room_joined; h closed 4001 replaced;
    far: b asks for ICE servers in r with b = 200; far: p joins r as a with b = forbidden;
    far: a asks for ICE servers in r with b = 403 forbidden; g is open;
    far: r is deleted with b = 200; far: r is found = 404
    `,
    TURN,
  ),

  async 'the admin token'(open) {
    const { sites, cast } = await open({ ADMIN_TOKEN, ...TURN });
    const [{ url }] = sites.slice(-1) as [Site];
    await play(`${BOTH}; c invites by s; x joins r as a with a`, sites, cast);
    const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
    const rooms = JSON.stringify((await call(url, 'GET', '/rooms', undefined, admin)).body);
    expect(rooms).toContain(cast.room('r'));
    const metrics = await fetch(`${url}/metrics`, { headers: admin });
    expect(metrics.status).toBe(200);
    const text = await metrics.text();
    expect(text).not.toContain(cast.room('r'));
    const seen = rooms + text;
    const ids = [...cast.devices.values()].map(({ id }) => id);
    for (const hidden of [cast.code('s'), ...ids]) expect(seen).not.toContain(hidden);
    const gone = await call(url, 'DELETE', '/api/rooms', { roomid: cast.room('r') }, admin);
    expect(gone).toMatchObject({ status: 403, body: { error: 'forbidden' } });
    const body = { deviceIds: [cast.device('a').id] };
    const purged = await call(url, 'POST', '/api/user/purge', body, admin);
    expect(purged.body).toMatchObject({ roomsKept: 1 });
  },

  async 'the password of Redis, in a cluster'(open) {
    const { sites, cast, redis: target } = await open(TURN);
    if (target === undefined) return;
    await play(BOTH, sites, cast);
    const redis = await openRedis(target.url);
    const values: unknown[] = [];
    const roomKeys: string[] = [];
    for await (const keys of redis.scan(`${target.prefix}{pairing}room:*`)) roomKeys.push(...keys);
    for (const key of roomKeys) values.push(await redis.command(key, ['HVALS', key]));
    // Can: read and change pairings, but read no secret.
    expect(values.join()).toContain(cast.device('a').id);
    for (const hidden of [cast.secret('a'), cast.secret('b'), cast.room('r')]) {
      expect(values.join()).not.toContain(hidden);
    }
    for (const key of roomKeys) await redis.command(key, ['DEL', key]);
    await play('r is found = 404', sites, cast);
  },

  async 'the TURN shared secret, or the token of a TURN provider'(open) {
    const { sites, cast } = await open(TURN);
    await play(BOTH, sites, cast);
    const { id, secret } = cast.device('a');
    const asked = { roomid: cast.room('r'), client: id, secret };
    const { body } = await call(sites[0].url, 'POST', '/api/ice-servers', asked);
    const { iceServers } = body as { iceServers: Record<'username' | 'credential', string>[] };
    const { username = '', credential } = iceServers[0] ?? {};
    const [expiry, user] = username.split(':') as [string, string];
    // Can: create the same credentials as the server. Cannot: pair, or act as a device.
    expect(turnCredentials(TURN_SECRET, user, Number(expiry)).credential).toBe(credential);
    for (const known of [TURN_SECRET, credential]) {
      await play(
        `far: a asks for ICE servers in r with ${known} = 403 forbidden;
        far: r is deleted with ${known} = 403 forbidden`,
        sites,
        cast,
      );
    }
  },

  async nothing(open) {
    const { sites, cast } = await open({ ADMIN_TOKEN, ...TURN });
    await play(BOTH, sites, cast);
    const own =
      'far: c invites by s = 201; far: d accepts unknown = 404; far: x joins own = room_joined';
    await play(own, sites, cast);
    expect(cast.secret('c')).toMatch(/^[\w-]{43}$/);
    // Cannot: list rooms, or find a room of others.
    expect((await call(sites[0].url, 'GET', '/rooms')).status).toBe(401);
    cast.rooms.set('guess', cast.room('r').replace(/./g, '0'));
    const guess = 'far: guess is found = 404; far: guess is deleted = 200; r is found = 200';
    await play(guess, sites, cast);
    const strict = await open({ REQUIRE_PAIRED_ROOMS: '1' });
    await play('far: x joins own = forbidden', strict.sites);
  },
};

test('these are the rows of the table in SECURITY.md', () => {
  const paper = readFileSync(new URL('../../../../SECURITY.md', import.meta.url), 'utf8');
  const table = paper.slice(paper.indexOf('## Who can do what')).split('\n\n')[2] as string;
  const [, , ...rows] = table.split('\n').map((row) => row.split('|')[1]?.trim());
  expect(rows.map((row) => row?.replace("'", '’'))).toEqual(Object.keys(ROWS));
});

describe('on SQLite', () => {
  const open: OpenWorld = async (env = {}) => {
    const server = await serverForTest(env);
    return { sites: [server], cast: new Cast() };
  };
  test.each(Object.entries(ROWS))('who knows %s', (_row, perform) => perform(open));
});

describeWith(['redis-server'], 'on two nodes over Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.dispose());

  const open: OpenWorld = async (env = {}) => {
    const prefix = newPrefix();
    const shared = { REDIS_URL: redis.url, REDIS_PREFIX: prefix, ...env };
    const [node, other] = [await serverForTest(shared), await serverForTest(shared)];
    for (const { url } of [node, other]) {
      await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200));
    }
    return { sites: [node, other], cast: new Cast(), redis: { url: redis.url, prefix } };
  };
  test.each(Object.entries(ROWS))('who knows %s', (_row, perform) => perform(open));
});
