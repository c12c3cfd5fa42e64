// Entry point for clients: message and REST types, error codes, close codes and limits. Does not load TypeBox at run time.

export { CLIENT_CLOSES } from './client-closes.js';
export type {
  ClientMessage,
  ClientMessageType,
  ForwardedMessage,
  IceCandidate,
  JoinRoom,
  KeyExchange,
  KeyExchangeComplete,
  LeaveRoom,
  Ping,
  PingPeer,
  WebRtcAnswer,
  WebRtcOffer,
} from './client-messages.js';
export { CLOSE_CODES, type CloseReason } from './close-codes.js';
export {
  REST_ERROR_CODES,
  type RestErrorCode,
  SIGNALING_ERRORS,
  type SignalingErrorCode,
} from './error-codes.js';
export { CLOSE_MEANINGS, REST_ERRORS } from './error-meanings.js';
export type { RTCIceCandidateInit, RTCIceServer } from './ice.js';
export * from './limits.js';
export { PLATFORMS, type Platform } from './platforms.js';
export type { PushTarget, WebPushSubscription } from './push.js';
export type {
  AcceptRequest,
  AcceptResponse,
  BadgeResetRequest,
  CancelRequest,
  CancelResponse,
  CheckRequest,
  CreatePendingRequest,
  CreatePendingResponse,
  DeleteRoomRequest,
  DeleteRoomResponse,
  ErrorResponse,
  IceServersRequest,
  IceServersResponse,
  PurgeRequest,
  PurgeResponse,
  PushResponse,
  PushTokenRequest,
  RoomIdResponse,
  RoomListResponse,
  RoomQuery,
  RoomResponse,
} from './rest.js';
export type {
  Connected,
  ErrorMessage,
  LeftRoom,
  PeerDisconnected,
  PeerLeft,
  PeerNotified,
  Pong,
  RoomFull,
  RoomJoined,
  RoomReady,
  ServerMessage,
  ServerMessageType,
} from './server-messages.js';
export { SUBPROTOCOL, TOKEN_SUBPROTOCOL } from './subprotocols.js';
