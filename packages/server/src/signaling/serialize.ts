// Serializes a message for the peer: only the members of its schema, with numbers in the spelling of the sender.
// handlers.ts adds the fields of the sender.
import { randomUUID } from 'node:crypto';
import type { ForwardedMessage } from '@couplet/protocol';
import { CLIENT_MESSAGES } from '@couplet/protocol/schema';
import { endOfString } from '../http/json-shape.js';

export interface Forwarded {
  readonly type: ForwardedMessage['type'];
  /** The whole object, `type` included. */
  readonly json: string;
}

/** @param text - the source of the message */
export const serialize = (message: ForwardedMessage, text: string): Forwarded => ({
  type: message.type,
  json: hasOddNumber(text)
    ? unmarked(JSON.stringify(membersOf(JSON.parse(markedNumbers(text)))))
    : JSON.stringify(membersOf(message)),
});

/** A message with the members of its schema; JSON omits those that it lacks. */
function membersOf(message: ForwardedMessage): object {
  const names = Object.keys(CLIENT_MESSAGES[message.type].properties);
  return Object.fromEntries(names.map((name) => [name, message[name as keyof typeof message]]));
}

/** Whether `JSON.stringify(JSON.parse(text))` would spell a number differently: 9007199254740993, 1.0, -0, 1e400. */
function hasOddNumber(text: string): boolean {
  for (const { token } of numbersIn(text)) if (String(Number(token)) !== token) return true;
  return false;
}

/** Prefix of a string that represents a number; random, so no client can send it. */
const MARK = randomUUID();
const MARKED = new RegExp(`"${MARK}([^"]*)"`, 'g');

/** The text with each number as a string, which parsing does not change. */
function markedNumbers(text: string): string {
  let marked = '';
  let copied = 0;
  for (const { token, at } of numbersIn(text)) {
    marked += `${text.slice(copied, at)}"${MARK}${token}"`;
    copied = at + token.length;
  }
  return marked + text.slice(copied);
}

const unmarked = (json: string): string => json.replace(MARKED, '$1');

/** The numbers of a JSON text, in order. */
function* numbersIn(text: string): Generator<{ token: string; at: number }> {
  const quoteOrNumber = /"|-?\d[\d.eE+-]*/g;
  for (;;) {
    const found = quoteOrNumber.exec(text);
    if (found === null) return;
    const { 0: token, index: at } = found;
    if (token === '"') quoteOrNumber.lastIndex = endOfString(text, at) + 1;
    else yield { token, at };
  }
}
