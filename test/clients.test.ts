// Compares docs/clients.md with a real server: its transcript line by line, and the JSON of its Swift example with the schemas.

import { on } from 'node:events';
import { JOIN_CODE_DIGITS } from '@couplet/protocol';
import * as schemas from '@couplet/protocol/schema';
import { call } from '@couplet/testkit/api';
import { startServer } from '@couplet/testkit/server';
import { Compile } from 'typebox/compile';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { blocks, read } from './support.js';

const paper = read('docs/clients.md');

test('the transcript is what a server answers', async () => {
  const server = await startServer({
    STUN_URLS: 'stun:turn.example.org:3478',
    TURN_URLS: 'turn:turn.example.org:3478',
    TURN_SECRET: 'not-a-secret-of-a-real-server',
  });
  onTestFinished(() => server.close());
  const lines: string[] = [];
  /** Random and temporal values, and how the document writes them. */
  const words = new Map<string, string>();
  const write = (line: string) => {
    let text = line;
    for (const [value, word] of words) text = text.replaceAll(value, word);
    lines.push(text);
  };
  const request = async (who: string, method: string, path: string, body: object) => {
    const { status, body: answer } = await call(server.url, method, path, body);
    const names = { exp: EXPIRY, secret: `SECRET_${who}`, roomid: ROOM };
    for (const [name, word] of Object.entries(names)) {
      if (answer?.[name] !== undefined) words.set(String(answer[name]), word);
    }
    write(`${who} → ${method} ${path} ${JSON.stringify(body)}`);
    write(`${who} ← ${status} ${answer === undefined ? '' : JSON.stringify(answer)}`.trim());
    return answer as { roomid: string; secret: string };
  };
  const receive = async (who: string, { messages }: Connection) => {
    const text = String((await messages.next()).value[0]);
    const { type, clientId, iceServers = [] } = JSON.parse(text);
    if (type === 'connected') words.set(clientId, `CONNECTION_${who}`);
    for (const { username, credential } of iceServers) {
      if (username) words.set(username, `1769861100:ID_${who}`).set(credential, `PASSWORD_${who}`);
    }
    write(`${who} ← ${text}`);
  };
  const send = (who: string, { socket }: Connection, message: object) => {
    socket.send(JSON.stringify(message));
    write(`${who} → ${JSON.stringify(message)}`);
  };

  const code = { joinid: '042137' };
  const create = { ...code, expiresInSeconds: 300, client1: 'device-a' };
  const { secret: secretA } = await request('A', 'POST', '/api/rooms', create);
  const check = { ...code, client1: 'device-a', secret: secretA };
  await request('A', 'POST', '/api/rooms/check', check);
  const accept = { ...code, client2: 'device-b' };
  const { secret: secretB } = await request('B', 'POST', '/api/rooms/accept', accept);
  const { roomid: roomId } = await request('A', 'POST', '/api/rooms/check', check);
  const pairing = lines.splice(0);

  const connect = async (who: string) => {
    write(`${who} → WebSocket /`);
    const socket = new WebSocket(server.wsUrl);
    onTestFinished(() => socket.terminate());
    const messages = on(socket, 'message');
    await receive(who, { socket, messages });
    return { socket, messages };
  };
  const a = await connect('A');
  send('A', a, { type: 'join_room', roomId, deviceId: 'device-a', secret: secretA });
  await receive('A', a);
  const b = await connect('B');
  send('B', b, { type: 'join_room', roomId, deviceId: 'device-b', secret: secretB });
  await receive('B', b);
  await receive('B', b);
  await receive('A', a);
  const joining = lines.splice(0);

  send('A', a, { type: 'webrtc_offer', sdp: 'v=0\r\n…' });
  await receive('B', b);
  send('B', b, { type: 'webrtc_answer', sdp: 'v=0\r\n…' });
  await receive('A', a);
  const candidate = { candidate: 'candidate:…', sdpMid: '0', sdpMLineIndex: 0 };
  send('A', a, { type: 'ice_candidate', candidate });
  await receive('B', b);
  send('A', a, { type: 'ice_candidate', candidate: null });
  await receive('B', b);
  const negotiating = lines.splice(0);

  send('B', b, { type: 'leave_room' });
  await receive('B', b);
  await receive('A', a);
  await request('A', 'DELETE', '/api/rooms', { roomid: roomId, secret: secretA });
  const documented = blocks(paper, 'text').map((block) => block.trimEnd().split('\n'));
  expect(documented).toEqual([pairing, joining, negotiating, lines]);
});

const EXPIRY = '2026-01-31T12:05:00.000Z';
const ROOM = 'ROOM';

interface Connection {
  socket: WebSocket;
  messages: AsyncIterator<unknown[]>;
}

test('the Swift example sends what the schemas allow, and reads fields that exist', () => {
  const [swift = ''] = blocks(paper, 'swift');
  const requests = schemas.pairingRequests(JOIN_CODE_DIGITS);
  const schemaOf: Record<string, { properties: object }> = {
    'POST api/rooms': requests.create,
    'POST api/rooms/accept': requests.accept,
    'POST api/rooms/check': requests.check,
    'DELETE api/rooms': schemas.DeleteRoomRequest,
    ...schemas.CLIENT_MESSAGES,
  };
  const sent = Array.from(
    swift.matchAll(/(?:call\("(\w+)", "([^"]+)", )?(\["(?:type|joinid|roomid)": [^\]]+\])/g),
    ([, method, path, dictionary = '']) => {
      const value = jsonOf(dictionary);
      return { name: method ? `${method} ${path}` : String(value.type), value };
    },
  );
  expect(sent.map(({ name }) => name).sort()).toEqual(
    [
      ...['POST api/rooms', 'POST api/rooms/check', 'POST api/rooms/accept', 'DELETE api/rooms'],
      ...['join_room', 'webrtc_offer', 'webrtc_answer', 'ice_candidate', 'leave_room'],
    ].sort(),
  );
  for (const { name, value } of sent) {
    const schema = schemaOf[name];
    expect(Compile(schema as never).Check(value), name).toBe(true);
    expect(Object.keys(schema?.properties ?? {})).toEqual(
      expect.arrayContaining(Object.keys(value)),
    );
  }
  const known = [
    ...Object.values(schemas.SERVER_MESSAGES),
    schemas.CreatePendingResponse,
    schemas.AcceptResponse,
  ].flatMap(({ properties }) => Object.keys(properties));
  const reads = Array.from(swift.matchAll(/\w\["(\w+)"\]/g), ([, field]) => field);
  expect(reads.length).toBeGreaterThan(5);
  expect(known).toEqual(expect.arrayContaining(reads));
  const types = Array.from(swift.matchAll(/case "(\w+)"/g), ([, type]) => type);
  expect(Object.keys(schemas.SERVER_MESSAGES)).toEqual(expect.arrayContaining(types));
});

/** A dictionary of Swift as JSON, with a sample for each expression. */
function jsonOf(dictionary: string): Record<string, unknown> {
  const samples: Record<string, unknown> = {
    code: '042137',
    deviceId: 'device-a',
    secret: 'x'.repeat(43),
    roomId: 'room',
    'connection.offer()': 'v=0',
    'connection.answer(to: sdp)': 'v=0',
    candidate: null,
  };
  const members = dictionary.slice(1, -1).matchAll(/"(\w+)": ((?:\([^)]*\)|[^,(])+)/g);
  return Object.fromEntries(
    Array.from(members, ([, name, expression = '']) => {
      if (expression in samples) return [name, samples[expression]];
      return [name, JSON.parse(expression)];
    }),
  );
}
