// Defines the signaling messages from server to client, one schema per `type`. A client ignores unknown types and fields.
import {
  IceCandidate,
  KeyExchange,
  KeyExchangeComplete,
  WebRtcAnswer,
  WebRtcOffer,
} from './client-messages.js';
import { SIGNALING_ERRORS, type SignalingErrorCode } from './error-codes.js';
import { RTCIceServer } from './ice.js';
import { RoomId } from './ids.js';
import { ROOM_SEATS } from './limits.js';
import { type Static, Type } from './typebox.js';

const userCount = Type.Integer({
  minimum: 1,
  maximum: ROOM_SEATS,
  description: 'Number of members present.',
});
const isInitiator = Type.Boolean({
  description: 'Whether the receiver of this message makes the offer.',
});
const message = Type.String({ description: 'Explanation for humans.' });
const errorText = Type.String({
  description: 'Text for humans; docs/protocol.md lists the texts.',
});
const code = Type.Unsafe<SignalingErrorCode>({
  type: 'string',
  enum: Object.keys(SIGNALING_ERRORS),
  description: 'Stable error code.',
});

export const Connected = Type.Object(
  {
    type: Type.Literal('connected'),
    clientId: Type.String({ description: 'Id of this connection; the peer gets it as `from`.' }),
    server: Type.String({ description: 'Name of the server.' }),
    maxMessageBytes: Type.Integer({
      minimum: 1,
      description:
        'Largest message that the server accepts, in bytes; after a larger one it closes with 1009.',
    }),
  },
  { description: 'First message on every connection.' },
);
export type Connected = Static<typeof Connected>;

export const RoomJoined = Type.Object(
  {
    type: Type.Literal('room_joined'),
    roomId: RoomId,
    userCount,
    isInitiator,
    ready: Type.Boolean({ description: 'Whether both seats are taken.' }),
  },
  { description: 'Response to `join_room`.' },
);
export type RoomJoined = Static<typeof RoomJoined>;

export const RoomReady = Type.Object(
  {
    type: Type.Literal('room_ready'),
    roomId: RoomId,
    message,
    userCount: Type.Literal(ROOM_SEATS),
    isInitiator,
    iceServers: Type.Optional(
      Type.Array(RTCIceServer, {
        minItems: 1,
        description:
          'ICE servers for RTCPeerConnection, with TURN credentials; absent if there are none for the receiver.',
      }),
    ),
  },
  { description: 'Both members are present; exactly one of the two is the initiator.' },
);
export type RoomReady = Static<typeof RoomReady>;

export const RoomFull = Type.Object(
  { type: Type.Literal('room_full'), error: errorText, code, roomId: RoomId },
  { description: 'Others have both seats; the sender keeps the seat that it has.' },
);
export type RoomFull = Static<typeof RoomFull>;

export const LeftRoom = Type.Object(
  {
    type: Type.Literal('left_room'),
    roomId: Type.Union([RoomId, Type.Null()], {
      description: 'The room that the client left, or null if it was in none.',
    }),
  },
  { description: 'Response to `leave_room`.' },
);
export type LeftRoom = Static<typeof LeftRoom>;

export const PeerLeft = Type.Object(
  { type: Type.Literal('peer_left'), message },
  { description: 'The peer left on purpose, or moved to another room.' },
);
export type PeerLeft = Static<typeof PeerLeft>;

export const PeerDisconnected = Type.Object(
  { type: Type.Literal('peer_disconnected'), message },
  { description: 'The connection of the peer is gone; the peer may return.' },
);
export type PeerDisconnected = Static<typeof PeerDisconnected>;

export const PeerNotified = Type.Object(
  { type: Type.Literal('peer_notified'), roomId: RoomId },
  { description: 'The push service has accepted a notification for the other device of the room.' },
);
export type PeerNotified = Static<typeof PeerNotified>;

export const Pong = Type.Object(
  { type: Type.Literal('pong') },
  { description: 'Response to `ping`.' },
);
export type Pong = Static<typeof Pong>;

export const ErrorMessage = Type.Object(
  { type: Type.Literal('error'), error: errorText, code },
  { description: 'The last message was refused; the connection stays usable.' },
);
export type ErrorMessage = Static<typeof ErrorMessage>;

/** Fields that the server adds to a forwarded message; the sender's values for them are ignored. */
export const Forwarding = Type.Object({
  from: Type.String({ description: '`clientId` of the sender.' }),
  roomId: RoomId,
});
export type Forwarding = Static<typeof Forwarding>;

const forwarded = <T extends Type.TObject>(schema: T) =>
  Type.Evaluate(Type.Intersect([Forwarding, schema]), {
    description: 'Forwarded from the peer, unchanged.',
  });

/** Every message that the server may send, by `type`. */
export const SERVER_MESSAGES = {
  connected: Connected,
  room_joined: RoomJoined,
  room_ready: RoomReady,
  room_full: RoomFull,
  left_room: LeftRoom,
  peer_left: PeerLeft,
  peer_disconnected: PeerDisconnected,
  peer_notified: PeerNotified,
  pong: Pong,
  error: ErrorMessage,
  webrtc_offer: forwarded(WebRtcOffer),
  webrtc_answer: forwarded(WebRtcAnswer),
  ice_candidate: forwarded(IceCandidate),
  key_exchange: forwarded(KeyExchange),
  key_exchange_complete: forwarded(KeyExchangeComplete),
} as const;

export type ServerMessageType = keyof typeof SERVER_MESSAGES;
export type ServerMessage = Static<(typeof SERVER_MESSAGES)[ServerMessageType]>;
