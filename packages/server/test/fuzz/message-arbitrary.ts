// Generates signaling messages of two connections from the schemas: valid, with one fault, or garbage.
import type { ClientMessageType, SignalingErrorCode } from '@couplet/protocol';
import { CLIENT_MESSAGES } from '@couplet/protocol/schema';
import fc from 'fast-check';
import {
  anything,
  deepJson,
  extraFields,
  nearlyValid,
  noJson,
  noObject,
  oddNumber,
  valuesOf,
} from './schema-arbitrary.js';

/** One message of one of the two, and the fault that the server must find in it; null: none. */
export interface MessageCase {
  by: 0 | 1;
  text: string | Buffer;
  fault: SignalingErrorCode | null;
}

export const FIELD_FAULTS: Readonly<Record<string, SignalingErrorCode>> = {
  roomId: 'invalid_room_id',
  deviceId: 'invalid_device_id',
  sdp: 'invalid_sdp',
  mac: 'invalid_mac',
  candidate: 'invalid_candidate',
  publicKey: 'invalid_public_key',
  sessionId: 'invalid_session_id',
  timestamp: 'invalid_timestamp',
};

const types = Object.keys(CLIENT_MESSAGES) as ClientMessageType[];
type Said = Omit<MessageCase, 'by'>;
const said = (value: unknown, fault: Said['fault']): Said => ({
  text: JSON.stringify(value),
  fault,
});

/** Mostly two rooms and two devices, so that the two meet, change rooms and replace each other. */
const joins = fc
  .record({
    roomId: fc.constantFrom('fuzz-a', 'fuzz-b'),
    deviceId: fc.constantFrom('one', 'two', '', null, undefined),
  })
  .map((fields) => said({ type: 'join_room', ...fields }, null));

const validMessage = fc
  .constantFrom(...types)
  .chain((type) => valuesOf(CLIENT_MESSAGES[type]) as fc.Arbitrary<object>);

const nearlyMessage = fc
  .constantFrom(...types.filter((type) => Object.keys(CLIENT_MESSAGES[type].properties).length > 1))
  .chain((type) => {
    const schema = CLIENT_MESSAGES[type];
    const fields = Object.keys(schema.properties).filter((name) => name !== 'type');
    return nearlyValid(schema, fields);
  })
  .map(({ value, field }) => said(value, FIELD_FAULTS[field] ?? null));

const ofNoType = anything
  .filter((type) => !types.includes(type as ClientMessageType))
  .map((type) => said({ type, roomId: 'fuzz-a' }, 'unknown_message_type'));

/** Text that `JSON.stringify` does not write, but other programs do. */
const oddlySpelled: fc.Arbitrary<Said> = fc.oneof(
  deepJson.map((x) => ({ text: candidateWith(x), fault: 'invalid_json' as const })),
  oddNumber.map((x) => ({ text: candidateWith(x), fault: null })),
  oddNumber.map((x) => ({ text: `\ufeff${candidateWith(`{"x":[${x},"${x}"]}`)}`, fault: null })),
);

const candidateWith = (member: string) =>
  `{"type": "ice_candidate","candidate":{"candidate":"\\"","x":${member}}}`;

const messages: fc.Arbitrary<Said> = fc.oneof(
  { weight: 2, arbitrary: oddlySpelled },
  { weight: 3, arbitrary: joins },
  { weight: 8, arbitrary: validMessage.map((message) => said(message, null)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(extraFields, validMessage)
      .map(([extra, message]) => said({ ...extra, from: 'me', ...message }, null)),
  },
  { weight: 4, arbitrary: nearlyMessage },
  { weight: 1, arbitrary: ofNoType },
  {
    weight: 1,
    arbitrary: fc.oneof(noJson, noObject, fc.constant('')).map((text) => ({
      text,
      fault: 'invalid_json' as const,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => ({
      text: Buffer.from(bytes),
      fault: 'invalid_json' as const,
    })),
  },
);

/** The messages of two connections, in order. */
export const messageCases: fc.Arbitrary<MessageCase[]> = fc.array(
  fc
    .record({ by: fc.constantFrom<0 | 1>(0, 1), message: messages })
    .map(({ by, message }) => ({ by, ...message })),
  { minLength: 1, maxLength: 24 },
);
