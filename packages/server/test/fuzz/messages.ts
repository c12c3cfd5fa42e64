// Fuzzes signaling with messages from the schemas: valid, with one fault, or garbage. Every fault and nothing else gets an
// error, and messages are forwarded unchanged.
import { isDeepStrictEqual } from 'node:util';
import {
  CLOSE_CODES,
  type ClientMessageType,
  SIGNALING_ERRORS,
  type SignalingErrorCode,
} from '@couplet/protocol';
import { CLIENT_MESSAGES, SERVER_MESSAGES } from '@couplet/protocol/schema';
import { Peer, type Received, textOf } from '@couplet/testkit/peer';
import fc from 'fast-check';
import {
  anything,
  deepJson,
  extraFields,
  faultyField,
  fits,
  nearlyValid,
  noJson,
  objectIn,
  oddNumber,
  valuesOf,
} from './schema-arbitrary.js';

/** One message of one of the two. */
interface MessageCase {
  by: 0 | 1;
  text: string | Buffer;
}

const isType = (type: unknown): type is ClientMessageType =>
  typeof type === 'string' && Object.hasOwn(CLIENT_MESSAGES, type);

/** The fault that the server must find in a message; undefined: none. `publicKey` → `invalid_public_key` */
function faultOf({ text }: MessageCase): string | undefined {
  const value = typeof text === 'string' ? objectIn(text) : undefined;
  if (!value) return 'invalid_json';
  if (!isType(value.type)) return 'unknown_message_type';
  const field = faultyField(CLIENT_MESSAGES[value.type], value);
  return field && `invalid_${field.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}`;
}

const schema = fc.constantFrom(...Object.values(CLIENT_MESSAGES));
const valid = schema.chain(valuesOf);

/** Text that `JSON.stringify` does not write, but other programs do. */
const candidateWith = (member: string) =>
  `{"type": "ice_candidate","candidate":{"candidate":"\\"","x":${member}}}`;

const json = (value: unknown) => JSON.stringify(value);
/** Weight and messages. */
const MESSAGES: [number, fc.Arbitrary<MessageCase['text']>][] = [
  // Mostly two rooms and two devices, so that the two meet, change rooms and replace each other.
  [
    3,
    fc
      .record({
        type: fc.constant('join_room'),
        roomId: fc.constantFrom('fuzz-a', 'fuzz-b'),
        deviceId: fc.constantFrom('one', 'two', '', null, undefined),
      })
      .map(json),
  ],
  [8, valid.map(json)],
  [2, fc.tuple(extraFields, valid).map(([x, valid]) => json({ ...x, from: 'me', ...valid }))],
  [4, schema.chain(nearlyValid).map(json)],
  [1, oddNumber.map(candidateWith)],
  [1, oddNumber.map((x) => `\ufeff${candidateWith(`{"x":[${x},"${x}"]}`)}`)],
  [1, deepJson.map(candidateWith)],
  [1, fc.oneof(noJson, anything.map(json), fc.constant(''))],
  [1, fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))],
];

/** The messages of two connections, in order. */
export const messageCases: fc.Arbitrary<MessageCase[]> = fc.array(
  fc.record({
    by: fc.constantFrom<0 | 1>(0, 1),
    text: fc.oneof(...MESSAGES.map(([weight, arbitrary]) => ({ weight, arbitrary }))),
  }),
  { minLength: 1, maxLength: 24 },
);

const CODES: ReadonlySet<number> = new Set(Object.values(CLOSE_CODES).map(({ code }) => code));

/** Checks that a message is one that the server may send; an error must have its text from the table. */
function judgeServerMessage(message: Received): void {
  const schema = SERVER_MESSAGES[message.type as keyof typeof SERVER_MESSAGES];
  if (!schema || !fits(schema, message)) {
    throw new Error(`not a server message: ${JSON.stringify(message)}`);
  }
  if (message.type !== 'error') return;
  const { text } = SIGNALING_ERRORS[message.code as SignalingErrorCode];
  if (!String(message.error).startsWith(text)) throw new Error(`not its text: ${message.error}`);
  if (/\p{Surrogate}/u.test(String(message.error))) throw new Error('half a character');
}

/** Sends the messages, reads everything that comes back and checks it. */
export async function judgeMessages(wsUrl: string, cases: readonly MessageCase[]): Promise<void> {
  const peers = [await Peer.open(wsUrl), await Peer.open(wsUrl)] as const;
  try {
    for (const { by, text } of cases) {
      if (peers[by].socket.readyState === peers[by].socket.OPEN) peers[by].socket.send(text);
    }
    const seen = [await everythingOf(peers[0]), await everythingOf(peers[1])] as const;
    // The first may have received more while the second was still being read.
    if (seen[0].open) seen[0].messages.push(...(await everythingOf(peers[0])).messages);
    for (const [me, other] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const { messages, open } = seen[me];
      const sentBy = (which: 0 | 1) => cases.filter(({ by }) => by === which);
      for (const message of messages) judgeServerMessage(message);
      judgeFaults(messages, sentBy(me), open);
      judgeForwards(messages, peers[other].clientId, sentBy(other));
    }
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
  }
}

/** All messages up to the answer to a ping, or up to a close with a documented code. */
async function everythingOf(peer: Peer): Promise<{ messages: Received[]; open: boolean }> {
  const messages: Received[] = [];
  const pongs = 'fuzz-sync';
  try {
    // An unknown type is echoed in its error, so the answer differs from that to a ping of the fuzz.
    peer.send({ type: pongs });
    for (;;) {
      const message = await peer.next();
      if (message.type === 'error' && String(message.error).endsWith(pongs)) {
        return { messages, open: true };
      }
      messages.push(message);
    }
  } catch (error) {
    if (peer.socket.readyState === peer.socket.OPEN) throw error;
    const { code } = await peer.closed;
    if (!CODES.has(code)) throw new Error(`closed with ${code}`);
    return { messages, open: false };
  }
}

/** Each fault is answered, in order, with its code, and no other message is. */
function judgeFaults(messages: readonly Received[], sent: readonly MessageCase[], open: boolean) {
  const found = messages
    .filter(({ type, code }) => type === 'error' && /^invalid_|^unknown_/.test(String(code)))
    .map(({ code }) => code);
  const made = sent.map(faultOf).filter(Boolean);
  const due = open ? made : made.slice(0, found.length);
  if (found.join() !== due.join())
    throw new Error(`faults ${due.join()}, answered ${found.join()}`);
}

/** Forwarded messages are those that the other sent, in order, with the `from` and `roomId` of the server. */
function judgeForwards(
  messages: readonly Received[],
  peerId: string,
  sent: readonly MessageCase[],
) {
  let position = 0;
  for (const message of messages) {
    if (message.from === undefined) continue;
    const { from, roomId: _room, ...fields } = asSpelled(textOf(message));
    if (from !== peerId) throw new Error(`forwarded from ${from}, who is not the peer`);
    const matches = (one: MessageCase) => !faultOf(one) && isCopy(fields, String(one.text));
    const index = sent.findIndex((one, at) => at >= position && matches(one));
    if (index < 0) throw new Error(`never sent, or not in this order: ${JSON.stringify(fields)}`);
    position = index + 1;
  }
}

/** Whether the fields known to the schema are unchanged from the sent text. */
function isCopy(fields: Record<string, unknown>, text: string): boolean {
  const original = asSpelled(text);
  const { properties } = CLIENT_MESSAGES[original.type as ClientMessageType];
  const known = Object.keys(properties).filter((name) => original[name] !== undefined);
  const copy = Object.fromEntries(known.map((name) => [name, original[name]]));
  return isDeepStrictEqual(copy, fields);
}

/** Parses JSON and keeps numbers in their original spelling. */
const asSpelled = (text: string): Record<string, unknown> =>
  JSON.parse(
    text
      .replace(/^\ufeff/, '')
      .replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
        token.startsWith('"') ? token : `["number",${JSON.stringify(token)}]`,
      ),
  );
