// Defines ICE candidates and ICE servers with the names and the nullability of the W3C WebRTC specification.
import { type Static, Type } from './typebox.js';

/** W3C RTCIceCandidateInit. An empty `candidate` string means end-of-candidates (RFC 8838 §13) and is forwarded like any other. */
export const RTCIceCandidateInit = Type.Object(
  {
    candidate: Type.Optional(Type.String()),
    sdpMid: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    sdpMLineIndex: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
    usernameFragment: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  },
  { description: 'W3C RTCIceCandidateInit; further members are forwarded unchanged.' },
);
export type RTCIceCandidateInit = Static<typeof RTCIceCandidateInit>;

/** W3C RTCIceServer, to be passed to RTCPeerConnection unchanged. */
export const RTCIceServer = Type.Object(
  {
    urls: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], {
      description: 'STUN URLs (RFC 7064) or TURN URLs (RFC 7065).',
    }),
    username: Type.Optional(Type.String({ description: 'Required for TURN URLs.' })),
    credential: Type.Optional(Type.String({ description: 'Required for TURN URLs.' })),
  },
  { description: 'W3C RTCIceServer.' },
);
export type RTCIceServer = Static<typeof RTCIceServer>;
