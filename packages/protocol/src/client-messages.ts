// Defines the signaling messages from client to server, one schema per `type`. docs/protocol.md §4 describes their effects.
import { RTCIceCandidateInit } from './ice.js';
import { DeviceId, OptionalSecret, RoomId } from './ids.js';
import { type Static, Type } from './typebox.js';

const optional = <T extends Type.TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));

export const JoinRoom = Type.Object(
  {
    type: Type.Literal('join_room'),
    roomId: RoomId,
    deviceId: Type.Optional(Type.Union([DeviceId, Type.Null(), Type.Literal('')])),
    secret: OptionalSecret,
  },
  { description: 'Takes a seat in a room; replaces a present member with the same `deviceId`.' },
);
export type JoinRoom = Static<typeof JoinRoom>;

export const LeaveRoom = Type.Object(
  { type: Type.Literal('leave_room') },
  { description: 'Leaves the room and frees the seat.' },
);
export type LeaveRoom = Static<typeof LeaveRoom>;

const mac = optional(
  Type.String({
    description:
      'Authenticates the description in a verified pairing (docs/key-exchange.md). The server does not check it.',
  }),
);

export const WebRtcOffer = Type.Object(
  { type: Type.Literal('webrtc_offer'), sdp: Type.String(), mac },
  { description: 'An offer for the peer (RFC 9429).' },
);
export type WebRtcOffer = Static<typeof WebRtcOffer>;

export const WebRtcAnswer = Type.Object(
  { type: Type.Literal('webrtc_answer'), sdp: Type.String(), mac },
  { description: 'An answer for the peer (RFC 9429).' },
);
export type WebRtcAnswer = Static<typeof WebRtcAnswer>;

export const IceCandidate = Type.Object(
  {
    type: Type.Literal('ice_candidate'),
    candidate: Type.Union([RTCIceCandidateInit, Type.Null()]),
  },
  {
    description:
      'An ICE candidate for the peer (RFC 8838); null or an empty string means end-of-candidates.',
  },
);
export type IceCandidate = Static<typeof IceCandidate>;

const sessionId = optional(Type.String());
const timestamp = optional(Type.Union([Type.Number(), Type.String()]));

export const KeyExchange = Type.Object(
  {
    type: Type.Literal('key_exchange'),
    publicKey: Type.String({ minLength: 1 }),
    sessionId,
    timestamp,
  },
  { description: 'A public key for the peer; never stored or logged.' },
);
export type KeyExchange = Static<typeof KeyExchange>;

export const KeyExchangeComplete = Type.Object(
  { type: Type.Literal('key_exchange_complete'), sessionId, timestamp },
  { description: 'Confirms to the peer that the key exchange is complete.' },
);
export type KeyExchangeComplete = Static<typeof KeyExchangeComplete>;

export const PingPeer = Type.Object(
  { type: Type.Literal('ping_peer') },
  { description: 'Wakes the other device of a paired room by a push notification.' },
);
export type PingPeer = Static<typeof PingPeer>;

export const Ping = Type.Object(
  { type: Type.Literal('ping') },
  { description: 'Requests a `pong` message.' },
);
export type Ping = Static<typeof Ping>;

/** Every message that a client may send, by `type`. */
export const CLIENT_MESSAGES = {
  join_room: JoinRoom,
  leave_room: LeaveRoom,
  webrtc_offer: WebRtcOffer,
  webrtc_answer: WebRtcAnswer,
  ice_candidate: IceCandidate,
  key_exchange: KeyExchange,
  key_exchange_complete: KeyExchangeComplete,
  ping_peer: PingPeer,
  ping: Ping,
} as const;

export type ClientMessageType = keyof typeof CLIENT_MESSAGES;
export type ClientMessage = Static<(typeof CLIENT_MESSAGES)[ClientMessageType]>;

/** Messages that the server forwards to the peer. */
export type ForwardedMessage =
  | WebRtcOffer
  | WebRtcAnswer
  | IceCandidate
  | KeyExchange
  | KeyExchangeComplete;
