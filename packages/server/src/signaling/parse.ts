// Parses a text frame into a client message, or into the error to answer with.
import {
  type ClientMessage,
  type ClientMessageType,
  type ForwardedMessage,
  SIGNALING_ERRORS,
  type SignalingErrorCode,
} from '@couplet/protocol';
import { CLIENT_MESSAGES } from '@couplet/protocol/schema';
import { parseModestJson } from '../http/json-shape.js';
import { compileObject } from '../http/validation.js';
import { plainForward } from './plain-message.js';
import { type Forwarded, serialize } from './serialize.js';

/** A client message: for the server, or for the peer. Of the latter, the server needs only the type. */
export type Incoming = Exclude<ClientMessage, ForwardedMessage> | Forwarded;

export type Parsed =
  | { kind: 'message'; message: Incoming }
  | { kind: 'fault'; code: SignalingErrorCode; error: string };

/** The error code for a field that a schema rejects: `roomId` is `invalid_room_id`. */
function codeOf(field: string): SignalingErrorCode {
  const code = `invalid_${field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
  return code in SIGNALING_ERRORS ? (code as SignalingErrorCode) : 'invalid_json';
}

const checks = new Map(
  Object.entries(CLIENT_MESSAGES).map(([type, schema]) => [type, compileObject(schema)]),
);

/** Most of an unknown type that the answer repeats, in UTF-16 code units. */
const MAX_ECHO = 64;

/** Byte order mark. RFC 8259 §8.1 lets a parser ignore it; the UTF-8 decoder of REST ignores it too. */
const BYTE_ORDER_MARK = '\ufeff';

export function parseMessage(text: string): Parsed {
  const type = plainForward(text);
  return type === undefined ? parseFully(text) : { kind: 'message', message: { type, json: text } };
}

function parseFully(text: string): Parsed {
  const json = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  let value: unknown;
  try {
    value = parseModestJson(json);
  } catch {
    // The parser's error quotes the message, so it is not passed on.
    return fault('invalid_json');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fault('invalid_json');
  }
  const { type } = value as { type?: unknown };
  const known = typeof type === 'string' ? checks.get(type as ClientMessageType) : undefined;
  if (known === undefined) {
    const { text: prefix } = SIGNALING_ERRORS.unknown_message_type;
    const shown = typeof type === 'string' ? echo(type) : typeof type;
    return { kind: 'fault', code: 'unknown_message_type', error: `${prefix}: ${shown}` };
  }
  if (known.whole.Check(value)) {
    return { kind: 'message', message: incoming(value as ClientMessage, json) };
  }
  const given = value as Record<string, unknown>;
  const wrong = known.fields.find(
    ({ name, required, check }) =>
      (required || given[name] !== undefined) && !check.Check(given[name]),
  );
  return fault(codeOf(wrong?.name ?? ''));
}

function incoming(message: ClientMessage, json: string): Incoming {
  switch (message.type) {
    case 'join_room':
    case 'leave_room':
    case 'ping_peer':
    case 'ping':
      return message;
    default:
      return serialize(message, json);
  }
}

/** The beginning of an unknown type, without half a surrogate pair, which JSON parsers refuse. */
function echo(type: string): string {
  const cut = type.slice(0, MAX_ECHO);
  return (/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut).replace(
    /\p{Surrogate}/gu,
    '\ufffd',
  );
}

function fault(code: SignalingErrorCode): Parsed {
  return { kind: 'fault', code, error: SIGNALING_ERRORS[code].text };
}
