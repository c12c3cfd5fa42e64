// Plays stories on the wire: devices that pair, and connections that join rooms.
//
// The first use of a name creates a device (a), a code (r) or a connection (x). The room of code r is also called r. `a`, `b`, `r`,
// `s`, `x` and `y` stand for any names.
//
//   REST. The outcome is the status and the error code, such as `404 not_found_or_expired`.
//     a invites by r                  POST /api/rooms: a creates the code r
//     b accepts r
//     a checks r                      without Prefer
//     a cancels r
//     a and b pair by r               a invites, b accepts, a checks; each succeeds
//     a asks for ICE servers in r
//     a sets a token in r             a push token
//     r is found                      GET /api/rooms; the outcome names the devices: `200 a b`
//     r is deleted
//     purge a, b                      outcome: `deleted ROOMS PENDINGS`, then `kept ROOMS PENDINGS` if the server kept any
//     … with a                        sends the secret of device a; a word that names no device with a secret is sent as it is
//     … under k                       sends the Idempotency-Key k
//
//   WebSocket
//     x joins r [as a] [with a]       connects x if necessary; the outcome is the first answer, such as `room_joined 1 initiator`
//     x and y meet in r               both join and read `room_ready`
//     x connects, x leaves
//     x hangs up, x is cut            ends the connection with, or without a closing handshake
//     x wakes its peer                sends `ping_peer`; the outcome is the answer
//     x says TEXT                     sends an offer with this SDP
//     x told A, B                     the next messages of x: types with their roles, error codes, or texts of offers
//     x told nothing                  no message has come
//     x is open, x closed 4001 replaced
//
// `step = outcome` compares the outcome by whole words, as far as it is written. `far: step` uses the second server, if there is one;
// `soon: step` repeats the step until it has its outcome.
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { type Answer, call, someCode, someDevice } from './api.js';
import { eventually } from './eventually.js';
import { Peer, type Received } from './peer.js';
import { stepsOf } from './stories.js';

/** Where a server listens. */
export interface Site {
  url: string;
  wsUrl: string;
}

interface Device {
  id: string;
  secret?: string | undefined;
}

/** The meanings of the names in a story. */
export class Cast {
  readonly peers = new Map<string, Peer>();
  readonly devices = new Map<string, Device>();
  readonly codes = new Map<string, string>();
  readonly rooms = new Map<string, string>();
  readonly keys = new Map<string, string>();
  readonly answers = new Map<string, Answer>();

  device(name = ''): Device {
    return named(this.devices, name, () => ({ id: someDevice() }));
  }

  room(name = ''): string {
    return named(this.rooms, name, () => randomUUID());
  }

  code(name = ''): string {
    return named(this.codes, name, someCode);
  }

  /** The secret of the device with this name, or the word itself. */
  secret(word: string | undefined): string | undefined {
    return word && (this.devices.get(word)?.secret ?? word);
  }
}

function named<T>(names: Map<string, T>, name: string, make: () => T): T {
  const known = names.get(name) ?? make();
  names.set(name, known);
  return known;
}

/** Checks the whole message. Returns its type, and the fields that differ between messages of the type. */
function wordsOf(message: Received, cast: Cast): string {
  const { type, roomId = null, isInitiator, userCount, code } = message;
  const room = [...cast.rooms].find(([, id]) => id === roomId)?.[0] ?? 'no room';
  const role = isInitiator ? 'initiator' : 'responder';
  switch (type) {
    case 'room_joined':
      expect(message).toEqual({ type, roomId, userCount, isInitiator, ready: userCount === 2 });
      return `${type} ${userCount} ${role}`;
    case 'room_ready': {
      const { iceServers } = message;
      const more = { message: expect.any(String), ...(iceServers ? { iceServers } : {}) };
      expect(message).toEqual({ type, roomId, userCount: 2, isInitiator, ...more });
      return `${type} ${role}`;
    }
    case 'room_full':
      expect(message).toEqual({ type, roomId, code: type, error: 'Room is full (max 2 users)' });
      return type;
    case 'left_room':
      expect(message).toEqual({ type, roomId });
      return `${type} ${room}`;
    case 'peer_left':
      expect(message).toEqual({ type, message: 'Other user left the room' });
      return type;
    case 'peer_disconnected':
      expect(message).toEqual({ type, message: 'Other user disconnected' });
      return type;
    default:
      return String(code ?? message.sdp ?? type);
  }
}

/** Checks the whole error, which must contain no device id. Returns the status and the error code. */
function answerOf({ status, headers, body }: Answer, cast: Cast): string {
  if (body?.error === undefined) return String(status);
  if (status === 503) expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  const { error, field, count, details } = body;
  expect(body).toEqual({ error, field, count, details });
  if (field !== undefined) expect(details).toEqual(expect.any(String));
  for (const { id } of cast.devices.values()) expect(JSON.stringify(body)).not.toContain(id);
  return `${status} ${error}`;
}

type Step = (cast: Cast, site: Site, ...words: string[]) => Promise<string>;

/** With an Idempotency-Key, a repeat that has the same status has the same body. */
async function post(cast: Cast, site: Site, path: string, body: object, key?: string) {
  const headers = key === undefined ? {} : { 'idempotency-key': named(cast.keys, key, randomUUID) };
  const answer = await call(site.url, 'POST', path, body, headers);
  const first = named(cast.answers, `${path} ${key ?? randomUUID()}`, () => answer);
  if (first.status === answer.status) expect(answer.body).toEqual(first.body);
  return answer;
}

const peerOf = (cast: Cast, name = '') => cast.peers.get(name) as Peer;

/** A request of a device about its room. */
const ofMember =
  (path: string, more: object = {}): Step =>
  async (cast, site, device, room, secret, key) => {
    const body = { roomid: cast.room(room), client: cast.device(device).id, ...more };
    const request = { ...body, secret: cast.secret(secret) };
    return answerOf(await post(cast, site, path, request, key), cast);
  };

const AS = '(?: as (\\w+))?';
const WITH = '(?: with (.+?))?';
/** With the Idempotency-Key of this name. */
const UNDER = '(?: under (\\w+))?';

const STEPS = Object.entries<Step>({
  [`(\\w+) invites by (\\w+)${WITH}${UNDER}`]: async (cast, site, name, code, secret, key) => {
    const device = cast.device(name);
    const body = { joinid: cast.code(code), client1: device.id, expiresInSeconds: 300 };
    const request = { ...body, secret: cast.secret(secret) };
    const answer = await post(cast, site, '/api/rooms', request, key);
    if (answer.status === 201) device.secret = String(answer.body?.secret);
    return answerOf(answer, cast);
  },
  [`(\\w+) accepts (\\w+)${UNDER}`]: async (cast, site, name, code = '', key) => {
    const device = cast.device(name);
    const body = { joinid: cast.code(code), client2: device.id };
    const answer = await post(cast, site, '/api/rooms/accept', body, key);
    if (answer.status === 200) device.secret = String(answer.body?.secret);
    if (answer.status === 200) cast.rooms.set(code, String(answer.body?.roomid));
    return answerOf(answer, cast);
  },
  [`(\\w+) checks (\\w+)${WITH}${UNDER}`]: async (cast, site, name, code = '', secret, key) => {
    const body = { joinid: cast.code(code), client1: cast.device(name).id };
    const request = { ...body, secret: cast.secret(secret) };
    const answer = await post(cast, site, '/api/rooms/check', request, key);
    if (answer.status === 200) expect(answer.body).toEqual({ roomid: cast.rooms.get(code) });
    return answerOf(answer, cast);
  },
  '(\\w+) cancels (\\w+)': async (cast, site, name, code) => {
    const body = { joinid: cast.code(code), client1: cast.device(name).id };
    const answer = await post(cast, site, '/api/rooms/cancel', body);
    if (answer.status === 200) expect(answer.body).toEqual({ ok: true });
    return answerOf(answer, cast);
  },
  '(\\w+) and (\\w+) pair by (\\w+)': async (cast, site, first, second, code) => {
    await play(`${first} invites by ${code} = 201; ${second} accepts ${code} = 200`, [site], cast);
    return play(`${first} checks ${code} = 200`, [site], cast);
  },
  [`(\\w+) asks for ICE servers in (\\w+)${WITH}${UNDER}`]: ofMember('/api/ice-servers'),
  [`(\\w+) sets a token in (\\w+)${WITH}`]: ofMember('/api/push-token', { token: 'apns' }),
  [`(\\w+) is deleted${WITH}`]: async (cast, site, room, secret) => {
    const body = { roomid: cast.room(room), secret: cast.secret(secret) };
    const answer = await call(site.url, 'DELETE', '/api/rooms', body);
    if (answer.status === 200) expect(answer.body).toEqual({ ok: true });
    return answerOf(answer, cast);
  },
  '(\\w+) is found': async (cast, site, name = '') => {
    const roomid = cast.rooms.get(name) ?? cast.devices.get(name)?.id ?? cast.room(name);
    const answer = await call(site.url, 'GET', `/api/rooms?roomid=${roomid}`);
    if (answer.status === 200) {
      const nameOf = (id: unknown) => [...cast.devices].find(([, one]) => one.id === id)?.[0];
      const { client1, client2, ...rest } = answer.body ?? {};
      expect(rest).toEqual({ roomid });
      return `200 ${nameOf(client1)} ${nameOf(client2)}`;
    }
    return answerOf(answer, cast);
  },
  [`purge (.+?)${WITH}${UNDER}`]: async (cast, site, names = '', secrets, key) => {
    const deviceIds = names.split(', ').map((name) => cast.device(name).id);
    const proofs = secrets?.split(', ').map((secret) => cast.secret(secret));
    const request = { deviceIds, secrets: proofs };
    const answer = await post(cast, site, '/api/user/purge', request, key);
    if (answer.status !== 200) return answerOf(answer, cast);
    const { success, deviceIdCount, roomsDeleted, pendingsDeleted, ...kept } = answer.body ?? {};
    expect([success, deviceIdCount]).toEqual([true, deviceIds.length]);
    const rest = kept.roomsKept === undefined ? '' : ` kept ${Object.values(kept).join(' ')}`;
    return `deleted ${roomsDeleted} ${pendingsDeleted}${rest}`;
  },
  [`(\\w+) joins (\\w+)${AS}${WITH}`]: async (cast, site, name = '', room, device, secret) => {
    const peer = cast.peers.get(name) ?? (await Peer.connect(site.wsUrl));
    cast.peers.set(name, peer);
    const deviceId = device && cast.device(device).id;
    const more = { deviceId, secret: cast.secret(secret) };
    peer.send({ type: 'join_room', roomId: cast.room(room), ...more });
    return wordsOf(await peer.next(), cast);
  },
  '(\\w+) and (\\w+) meet in (\\w+)': (cast, site, first, second, room) =>
    play(
      `${first} joins ${room}; ${second} joins ${room}; ${second} told room_ready responder;
      ${first} told room_ready initiator`,
      [site],
      cast,
    ),
  '(\\w+) connects': async (cast, site, name = '') => {
    cast.peers.set(name, await Peer.connect(site.wsUrl));
    return '';
  },
  '(\\w+) leaves': async (cast, _site, name) => {
    peerOf(cast, name).send({ type: 'leave_room' });
    return '';
  },
  '(\\w+) hangs up': async (cast, _site, name) => {
    await peerOf(cast, name).close();
    return '';
  },
  '(\\w+) is cut': async (cast, _site, name) => {
    peerOf(cast, name).socket.terminate();
    return '';
  },
  '(\\w+) wakes its peer': async (cast, _site, name) => {
    peerOf(cast, name).send({ type: 'ping_peer' });
    return wordsOf(await peerOf(cast, name).next(), cast);
  },
  '(\\w+) says (.+)': async (cast, _site, name, sdp) => {
    const peer = peerOf(cast, name);
    // A server may have closed it already.
    if (peer.socket.readyState === peer.socket.OPEN) peer.send({ type: 'webrtc_offer', sdp });
    return '';
  },
  '(\\w+) told (.+)': async (cast, _site, name, expected = '') => {
    const peer = peerOf(cast, name);
    const told: string[] = [];
    if (expected === 'nothing') expect(await peer.sync()).toEqual([]);
    else for (const _ of expected.split(', ')) told.push(wordsOf(await peer.next(), cast));
    expect(told.join(', ')).toBe(expected === 'nothing' ? '' : expected);
    return '';
  },
  '(\\w+) is open': async (cast, _site, name) => {
    const { socket } = peerOf(cast, name);
    expect(socket.readyState).toBe(socket.OPEN);
    return '';
  },
  '(\\w+) closed (\\d+) (\\w+)': async (cast, _site, name, code, reason) => {
    expect(await peerOf(cast, name).closed).toEqual({ code: Number(code), reason });
    return '';
  },
}).map(([words, act]) => [new RegExp(`^${words}$`), act] as const);

/** Plays the steps of a story. Returns the last outcome. */
export async function play(
  script: string,
  sites: readonly [Site, ...Site[]],
  cast = new Cast(),
): Promise<string> {
  let outcome = '';
  for (const text of stepsOf(script)) {
    const [step = '', expected = ''] = text.split(' = ');
    const [, far, soon, words = ''] = /^(far: )?(soon: )?(.*)$/.exec(step) ?? [];
    const site = (far && sites[1]) || sites[0];
    const found = STEPS.find(([pattern]) => pattern.test(words));
    if (found === undefined) throw new Error(`no step: ${step}`);
    const [pattern, act] = found;
    const attempt = async () => {
      outcome = await act(cast, site, ...(pattern.exec(words) ?? []).slice(1)).catch((error) => {
        error.message = `${step}: ${error.message}`;
        throw error;
      });
      const isSame = `${outcome} `.startsWith(`${expected} `) || expected === '';
      expect(`${step} = ${isSame ? expected : outcome}`).toBe(`${step} = ${expected}`);
    };
    await (soon ? eventually(attempt) : attempt());
  }
  return outcome;
}
