// Defines one request and one response schema per REST endpoint. Fields are in the order in which the server checks them.
import { REST_ERROR_CODES, type RestErrorCode } from './error-codes.js';
import { RTCIceServer } from './ice.js';
import { DeviceId, DeviceSecret, joinCode, OptionalSecret, RoomId } from './ids.js';
import {
  MAX_EXPIRY_SECONDS,
  MAX_PURGE_IDS,
  MAX_PURGE_SECRETS,
  MIN_EXPIRY_SECONDS,
} from './limits.js';
import { OptionalPlatform, OptionalPushToken } from './push.js';
import { type Static, Type } from './typebox.js';

/** Returns the schemas of the requests with a join code of the given number of digits. */
export const pairingRequests = (digits: number) => {
  const joinid = joinCode(digits);
  return {
    create: Type.Object({
      joinid,
      expiresInSeconds: Type.Integer({
        minimum: MIN_EXPIRY_SECONDS,
        maximum: MAX_EXPIRY_SECONDS,
        description: 'Lifetime of the code in seconds.',
      }),
      client1: DeviceId,
      secret: OptionalSecret,
      client1_token: OptionalPushToken,
      platform: OptionalPlatform,
    }),
    accept: Type.Object({
      joinid,
      client2: DeviceId,
      client2_token: OptionalPushToken,
      platform: OptionalPlatform,
    }),
    check: Type.Object({ joinid, client1: DeviceId, secret: OptionalSecret }),
    cancel: Type.Object({ joinid, client1: DeviceId, secret: OptionalSecret }),
  };
};
type PairingRequests = ReturnType<typeof pairingRequests>;

export type CreatePendingRequest = Static<PairingRequests['create']>;
export type AcceptRequest = Static<PairingRequests['accept']>;
export type CheckRequest = Static<PairingRequests['check']>;
export type CancelRequest = Static<PairingRequests['cancel']>;

export const CreatePendingResponse = Type.Object(
  {
    ok: Type.Literal(true),
    exp: Type.String({
      format: 'date-time',
      description: 'When the code expires: ISO 8601, UTC, with milliseconds.',
    }),
    secret: DeviceSecret,
  },
  { description: 'The code is live.' },
);
export type CreatePendingResponse = Static<typeof CreatePendingResponse>;

export const AcceptResponse = Type.Object(
  { roomid: RoomId, secret: DeviceSecret },
  { description: 'The code was accepted; this is the room of the two devices.' },
);
export type AcceptResponse = Static<typeof AcceptResponse>;

/** Response to a check whose code has been accepted. */
export const RoomIdResponse = Type.Object(
  { roomid: RoomId },
  { description: 'The code was accepted; this is the room of the two devices.' },
);
export type RoomIdResponse = Static<typeof RoomIdResponse>;

export const CancelResponse = Type.Object(
  { ok: Type.Literal(true) },
  { description: 'The device has no code with this number that can still be accepted.' },
);
export type CancelResponse = Static<typeof CancelResponse>;

export const RoomQuery = Type.Object({ roomid: RoomId });
export type RoomQuery = Static<typeof RoomQuery>;

export const RoomResponse = Type.Object(
  { roomid: RoomId, client1: DeviceId, client2: DeviceId },
  { description: 'The room and its two devices.' },
);
export type RoomResponse = Static<typeof RoomResponse>;

export const DeleteRoomRequest = Type.Object({ roomid: RoomId, secret: OptionalSecret });
export type DeleteRoomRequest = Static<typeof DeleteRoomRequest>;

export const DeleteRoomResponse = Type.Object(
  { ok: Type.Literal(true) },
  { description: 'The room does not exist any more.' },
);
export type DeleteRoomResponse = Static<typeof DeleteRoomResponse>;

export const PurgeRequest = Type.Object({
  deviceIds: Type.Optional(
    Type.Array(DeviceId, {
      minItems: 1,
      maxItems: MAX_PURGE_IDS,
      description: 'Devices whose pairings are deleted; takes precedence over `deviceId`.',
    }),
  ),
  deviceId: Type.Optional(DeviceId),
  secrets: Type.Optional(
    Type.Array(DeviceSecret, {
      maxItems: MAX_PURGE_SECRETS,
      description: 'Secrets of the pairings to delete.',
    }),
  ),
});
export type PurgeRequest = Static<typeof PurgeRequest>;

const count = (description: string) => Type.Integer({ minimum: 0, description });

export const PurgeResponse = Type.Object(
  {
    success: Type.Literal(true),
    deviceIdCount: count('Number of device ids in the request.'),
    roomsDeleted: count('Number of rooms deleted; a room of two of the devices counts once.'),
    pendingsDeleted: count(
      'Number of pendings deleted; a pending of two of the devices counts once.',
    ),
    roomsKept: Type.Optional(
      count(
        'Number of rooms kept, because one of their devices has sent its secret before and the request has neither secret of the room.',
      ),
    ),
    pendingsKept: Type.Optional(
      count(
        'Number of pendings kept, because one of their devices has sent its secret before and the request has neither secret of the pending.',
      ),
    ),
  },
  { description: 'The numbers of pairings deleted and, if any, kept because a secret is missing.' },
);
export type PurgeResponse = Static<typeof PurgeResponse>;

export const RoomListResponse = Type.Object(
  {
    rooms: Type.Array(
      Type.Object({
        roomId: RoomId,
        userCount: count('Number of members present.'),
        full: Type.Boolean(),
      }),
    ),
    totalRooms: count('Number of rooms with at least one member.'),
  },
  { description: 'The rooms with members.' },
);
export type RoomListResponse = Static<typeof RoomListResponse>;

export const IceServersRequest = Type.Object({
  roomid: RoomId,
  client: DeviceId,
  secret: OptionalSecret,
});
export type IceServersRequest = Static<typeof IceServersRequest>;

export const IceServersResponse = Type.Object(
  {
    iceServers: Type.Array(RTCIceServer, {
      description: 'ICE servers for RTCPeerConnection; empty if the server has none.',
    }),
    ttl: Type.Integer({
      minimum: 1,
      description:
        'Seconds for which the credentials can open a new allocation. At coturn, an open allocation continues after that.',
    }),
  },
  { description: 'ICE servers for RTCPeerConnection, and the lifetime of their credentials.' },
);
export type IceServersResponse = Static<typeof IceServersResponse>;

export const PushTokenRequest = Type.Object({
  roomid: RoomId,
  client: DeviceId,
  token: OptionalPushToken,
  platform: OptionalPlatform,
  secret: OptionalSecret,
});
export type PushTokenRequest = Static<typeof PushTokenRequest>;

export const PushTokenResponse = Type.Object(
  { ok: Type.Literal(true) },
  { description: 'The device has this push token in this room, or none.' },
);

export const BadgeResetRequest = Type.Object({ deviceId: DeviceId });
export type BadgeResetRequest = Static<typeof BadgeResetRequest>;

export const BadgeResetResponse = Type.Object(
  { ok: Type.Literal(true) },
  { description: 'The report was ignored, because the server counts no badges.' },
);

export const PushResponse = Type.Object(
  {
    platforms: Type.Array(
      Type.Union([Type.Literal('ios'), Type.Literal('android'), Type.Literal('web')]),
      { description: 'Platforms whose devices this server can wake.' },
    ),
    vapidPublicKey: Type.Optional(
      Type.String({
        description:
          'The `applicationServerKey` of the Push API, in base64url (RFC 8292). Absent if the server has no key for Web Push.',
      }),
    ),
  },
  { description: 'The platforms whose devices this server can wake.' },
);
export type PushResponse = Static<typeof PushResponse>;

export const ErrorResponse = Type.Object(
  {
    error: Type.Unsafe<RestErrorCode>({
      type: 'string',
      enum: [...REST_ERROR_CODES],
      description: 'Stable error code.',
    }),
    details: Type.Optional(Type.String({ description: 'Explanation for humans; may change.' })),
    field: Type.Optional(Type.String({ description: 'The invalid field.' })),
    count: Type.Optional(count('Number of invalid ids or secrets in a purge.')),
  },
  { description: 'The request failed; `error` has the cause.' },
);
export type ErrorResponse = Static<typeof ErrorResponse>;
