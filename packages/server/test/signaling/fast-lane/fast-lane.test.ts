// The fast lane and ws have the same results, for any mix of frames, any split of reads, and slow readers.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { serverForTest, startServer } from '@couplet/testkit/server';
import fc from 'fast-check';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { closePayload, frame, OPCODES, readFrames, textFrame } from '../../fuzz/raw-frames.js';
import { RawSocket } from '../../support/raw-http.js';

const server = await startServer({
  MAX_MESSAGES_PER_SECOND: '10000000',
  MAX_BYTES_PER_SECOND: '10000000000',
  MAX_BUFFERED_BYTES: '100000000',
});
afterAll(() => server.close());

const HANDSHAKE =
  'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** A client's input, the resulting message to its peer, and the answer to the client. */
interface Item {
  bytes: Buffer;
  forwarded?: object;
  answer?: string;
}

const { text, binary, ping, pong, continuation } = OPCODES;

const forwarded = (message: object, spelled = JSON.stringify(message)): Item => ({
  bytes: textFrame(spelled),
  forwarded: message,
});
const offer = (sdp: string) => ({ type: 'webrtc_offer', sdp });
const candidate = (words: string) => ({
  type: 'ice_candidate',
  candidate: { candidate: `candidate:${words}`, sdpMid: '0', sdpMLineIndex: 0 },
});
const inTwo = (message: object): Item => {
  const payload = Buffer.from(JSON.stringify(message));
  return {
    bytes: Buffer.concat([
      frame({ opcode: text, payload: payload.subarray(0, 20), fin: false }),
      frame({ opcode: continuation, payload: payload.subarray(20) }),
    ]),
    forwarded: message,
  };
};

const words = fc.stringMatching(/^[a-z0-9 ]{0,300}$/);
const items: fc.Arbitrary<Item> = fc.oneof(
  { arbitrary: words.map((word) => forwarded(candidate(word))), weight: 6 },
  { arbitrary: words.map((word) => forwarded(offer(`v=0\r\n${word}`))), weight: 3 },
  fc.integer({ min: 16_300, max: 16_500 }).map((n) => forwarded(offer('x'.repeat(n)))),
  words.map((word) => forwarded(offer(`é${word}`))),
  words.map((word) => forwarded(offer(word), JSON.stringify({ from: 'me', ...offer(word) }))),
  words.map((word) => inTwo(offer(word))),
  fc.constantFrom<Item>(
    { bytes: textFrame({ type: 'ping' }), answer: 'pong' },
    { bytes: textFrame('{"type":"webrtc_offer","sdp":"\\x"}'), answer: 'invalid_json' },
    { bytes: textFrame('{"type":"webrtc_offer","sdp":1}'), answer: 'invalid_sdp' },
    { bytes: frame({ opcode: binary, payload: Buffer.alloc(3) }), answer: 'invalid_json' },
    { bytes: frame({ opcode: ping, payload: Buffer.from('a') }), answer: 'frame a' },
    { bytes: frame({ opcode: pong }) },
  ),
);

let rooms = 0;

/** A client that sends raw bytes, and its peer, in a separate room. */
async function rawPair({
  wsUrl,
}: {
  wsUrl: string;
} = server): Promise<{ raw: RawSocket; peer: Peer; from: string; roomId: string }> {
  const roomId = `room ${++rooms} é`;
  const peer = await Peer.open(wsUrl);
  await peer.join(roomId);
  const raw = new RawSocket(Number(new URL(wsUrl).port));
  await raw.write(Buffer.from(HANDSHAKE));
  await raw.write(textFrame({ type: 'join_room', roomId }));
  await raw.until((received) => received.includes('"room_ready"'));
  await peer.next('room_ready');
  const from = /"clientId":"([^"]+)"/.exec(raw.received.toString('latin1'))?.[1] as string;
  return { raw, peer, from, roomId };
}

/** The answers to a client, after its join. */
function answersIn(received: Buffer): string[] {
  const frames = readFrames(received.subarray(received.indexOf('\r\n\r\n') + 4));
  // A slow run can include heartbeats.
  const answers = frames.slice(3).filter(({ opcode }) => opcode !== ping);
  return answers.map(({ opcode, payload }) => {
    if (opcode === OPCODES.close) return `close ${payload.readUInt16BE(0)}`;
    if (opcode === OPCODES.pong) return `frame ${payload}`;
    const { type, code } = JSON.parse(payload.toString());
    return code ?? type;
  });
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 });

test('the peer gets each message once, in order and with its sender, and the sender gets its answers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(items, { maxLength: 30 }), cuts, async (sent, places) => {
      const { raw, peer, from, roomId } = await rawPair();
      try {
        const script = [...sent, forwarded(offer('end')), { bytes: textFrame({ type: 'end' }) }];
        await raw.write(Buffer.concat(script.map(({ bytes }) => bytes)), places);
        for (const message of script.flatMap((item) => item.forwarded ?? [])) {
          expect(await peer.next()).toStrictEqual({ ...message, from, roomId });
        }
        await raw.until((received) => received.includes('unknown_message_type'));
        const answers = sent.flatMap(({ answer }) => answer ?? []);
        expect(answersIn(raw.received)).toEqual([...answers, 'unknown_message_type']);
        expect(await peer.sync()).toEqual([]);
      } finally {
        raw.destroy();
        peer.socket.terminate();
      }
    }),
    { numRuns: 150 },
  );
});

const start = frame({ opcode: text, payload: Buffer.from('{'), fin: false });
const claimed = (claimedLength: bigint, opcode: number = text) =>
  frame({ opcode, payload: Buffer.from('x'), claimedLength, lengthBytes: 8 });
const closing = (code: number, reason?: Buffer) =>
  frame({ opcode: OPCODES.close, payload: closePayload(code, reason) });
const end = (payload = Buffer.alloc(0)) => frame({ opcode: continuation, payload });
const notUtf8 = Buffer.from([0x22, 0xff]);
const halfNotUtf8 = frame({ opcode: text, payload: notUtf8, fin: false });
const BAD_CODES = [0, 999, 1005, 1006, 1016, 5000];

test.each<[string, Buffer[], number]>([
  ['text that is no UTF-8', [frame({ opcode: text, payload: notUtf8 })], 1007],
  ['fragments that are no UTF-8', [halfNotUtf8, end()], 1007],
  ['a close reason that is no UTF-8', [closing(1000, notUtf8)], 1007],
  ['an unmasked frame', [frame({ opcode: text, masked: false })], 1002],
  ...[1, 2, 4].map(
    (rsv) => [`the reserved bit ${rsv}`, [frame({ opcode: text, rsv })], 1002] as never,
  ),
  ...[3, 7, 11, 15].map(
    (opcode) => [`the reserved opcode ${opcode}`, [frame({ opcode })], 1002] as never,
  ),
  ['a fragmented ping', [frame({ opcode: ping, fin: false })], 1002],
  ['a ping of 126 bytes', [frame({ opcode: ping, payload: Buffer.alloc(126) })], 1002],
  ['a ping that claims 2^63 bytes', [claimed(2n ** 63n, ping)], 1002],
  ['a continuation without a start', [end()], 1002],
  ['a message amid another', [start, frame({ opcode: text })], 1002],
  ...BAD_CODES.map((code) => [`the close code ${code}`, [closing(code)], 1002] as never),
  ['a close frame of a byte', [frame({ opcode: OPCODES.close, payload: Buffer.alloc(1) })], 1002],
  ['a message over the cap', [claimed(10_000_000n)], 1009],
  ['a message of 2^63 bytes', [claimed(2n ** 63n)], 1009],
  ['fragments over the cap', [start, end(Buffer.alloc(300_000, 'x'))], 1009],
  ['a close frame', [closing(1000)], 1000],
])('after %s nothing is forwarded, in this read or in later ones', async (_what, last, code) => {
  const { raw, peer } = await rawPair();
  onTestFinished(() => raw.destroy());
  onTestFinished(() => peer.socket.terminate());
  const before = textFrame(offer('before'));
  const after = textFrame(offer('after'));
  await raw.write(Buffer.concat([before, ...last, after]));
  await raw.until((received) => answersIn(received).includes(`close ${code}`));
  await raw.write(after);
  raw.socket.end();
  expect((await peer.next()).sdp).toBe('before');
  await peer.next('peer_disconnected');
  expect(await peer.sync()).toEqual([]);
});

test('after random bytes, a connection is closed with a code of the RFC, or waits for the rest of a frame', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      cuts,
      async (noise, places) => {
        const { raw, peer } = await rawPair();
        try {
          await raw.write(Buffer.from(noise), places);
          raw.socket.end();
          await raw.until();
          const closes = answersIn(raw.received).filter((answer) => answer.startsWith('close '));
          for (const close of closes) expect(close).toMatch(/^close (1002|1007|1009|[0-4]\d{3})$/);
          await peer.next('peer_disconnected');
        } finally {
          raw.destroy();
          peer.socket.terminate();
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('unread frames of a slow reader stay unchanged while others send', async () => {
  const [sender, reader] = await pairOfPeers(server.wsUrl, 'slow');
  const [busy, other] = await pairOfPeers(server.wsUrl, 'busy');
  const bulk = 'x'.repeat(8000);
  const count = 2000;
  reader.socket.pause();
  for (let n = 0; n < count; n++) {
    sender.send(offer(`${n} ${bulk}`));
    busy.send(offer(`busy ${n}`));
    if (n % 20 === 0) await Promise.all([sender.sync(), busy.sync()]);
  }
  for (let n = 0; n < count; n++) expect((await other.next()).sdp).toBe(`busy ${n}`);
  reader.socket.resume();
  for (let n = 0; n < count; n++) expect((await reader.next()).sdp).toBe(`${n} ${bulk}`);
});

test('a client that sends too fast is warned, then closed, and its earlier messages are forwarded', async () => {
  const strict = await serverForTest({ MAX_MESSAGES_PER_SECOND: '10' });
  const [sender, reader] = await pairOfPeers(strict.wsUrl, 'strict');
  for (let n = 0; n < 500; n++) sender.send(candidate(`${n}`));
  expect((await sender.next('error')).code).toBe('rate_limited');
  expect((await sender.closed).code).toBe(1008);
  let passedOn = 0;
  for (;;) {
    const { type, candidate: given } = await reader.next();
    if (type === 'peer_disconnected') break;
    expect(given).toEqual(candidate(`${passedOn++}`).candidate);
  }
  expect(passedOn).toBeGreaterThan(10);
  expect(passedOn).toBeLessThan(500);
});

test('a client that sends messages stays open, even without answers to pings', async () => {
  const clock = new FakeClock();
  const patient = await serverForTest({ HEARTBEAT_SECONDS: '30' }, { clock });
  const { raw, peer } = await rawPair(patient);
  onTestFinished(() => raw.destroy());
  onTestFinished(() => peer.socket.terminate());
  for (let n = 0; n < 8; n++) {
    await raw.write(textFrame(candidate(`${n}`)));
    expect((await peer.next()).type).toBe('ice_candidate');
    clock.advance(30_000);
    expect(await peer.sync()).toEqual([]);
  }
});

test('messages after a join wait for it, and go to the new room', async () => {
  let asked = () => {};
  let letIn = (_mayJoin: boolean) => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const join = ({ roomId }: { roomId: string }) => {
    if (roomId !== 'guarded') return true;
    asked();
    return new Promise<boolean>((resolve) => {
      letIn = resolve;
    });
  };
  const guarded = await serverForTest({}, { authorize: { join } });
  const [mover, left] = await pairOfPeers(guarded.wsUrl, 'old');
  mover.send({ type: 'join_room', roomId: 'guarded' });
  await isAsked;
  mover.send(candidate('for the new room'));
  // An answer to another client shows that the earlier bytes have been read.
  expect(await left.sync()).toEqual([]);
  letIn(true);
  await mover.next('room_joined');
  expect((await mover.next('error')).code).toBe('no_peer');
  expect((await left.next()).type).toBe('peer_left');
});

test('ws has one data listener on a stream, which the lane replaces', async () => {
  const http = createServer();
  onTestFinished(() => void http.close());
  const acceptor = new WebSocketServer({ noServer: true });
  const listeners = new Promise<number>((resolve) => {
    http.on('upgrade', (request, stream, head) => {
      acceptor.handleUpgrade(request, stream, head, (socket) => {
        resolve(stream.listenerCount('data'));
        socket.terminate();
      });
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  // It is dropped at once.
  client.on('error', () => {});
  expect(await listeners).toBe(1);
});
