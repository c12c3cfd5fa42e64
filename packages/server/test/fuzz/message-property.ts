// Fuzzes signaling: every fault and nothing else gets an error, and messages are forwarded unchanged.
import {
  CLOSE_CODES,
  type ClientMessageType,
  SIGNALING_ERRORS,
  type SignalingErrorCode,
} from '@couplet/protocol';
import { CLIENT_MESSAGES, SERVER_MESSAGES } from '@couplet/protocol/schema';
import { Peer, type Received, textOf } from '@couplet/testkit/peer';
import { Compile } from 'typebox/compile';
import { FIELD_FAULTS, type MessageCase } from './message-arbitrary.js';

const schemas = Object.fromEntries(
  Object.entries(SERVER_MESSAGES).map(([type, schema]) => [type, Compile(schema)]),
);
const CODES: ReadonlySet<number> = new Set(Object.values(CLOSE_CODES).map(({ code }) => code));
const FAULTS: ReadonlySet<string> = new Set([
  'invalid_json',
  'unknown_message_type',
  ...Object.values(FIELD_FAULTS),
]);

/** Checks that a message is one that the server may send; an error must have its text from the table. */
export function judgeServerMessage(message: Received): void {
  if (!schemas[message.type]?.Check(message)) {
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
    const seen = [await everythingOf(peers[0]), await everythingOf(peers[1])];
    // The first may have received more while the second was still being read.
    if (seen[0]?.open) seen[0].messages.push(...(await everythingOf(peers[0])).messages);
    for (const by of [0, 1] as const) {
      const { messages = [], open = false } = seen[by] ?? {};
      for (const message of messages) judgeServerMessage(message);
      judgeFaults(
        messages,
        cases.filter((one) => one.by === by),
        open,
      );
      judgeForwards(
        messages,
        peers[1 - by]?.clientId ?? '',
        cases.filter((one) => one.by !== by),
      );
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
    .filter(({ type, code }) => type === 'error' && FAULTS.has(code as string))
    .map(({ code }) => code);
  const made = sent.map(({ fault }) => fault).filter((fault) => fault !== null);
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
    const matches = ({ text, fault }: MessageCase) => fault === null && fits(fields, String(text));
    const index = sent.findIndex((one, at) => at >= position && matches(one));
    if (index < 0) throw new Error(`never sent, or not in this order: ${JSON.stringify(fields)}`);
    position = index + 1;
  }
}

/** Whether the fields known to the schema are unchanged from the sent text. */
function fits(fields: Record<string, unknown>, text: string): boolean {
  const original = asSpelled(text);
  const { properties } = CLIENT_MESSAGES[original.type as ClientMessageType];
  const known = Object.keys(properties).filter((name) => original[name] !== undefined);
  const copy = Object.fromEntries(known.map((name) => [name, original[name]]));
  return sorted(copy) === sorted(fields);
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

const sorted = (fields: Record<string, unknown>): string =>
  JSON.stringify(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
