// ICE candidates as the W3C WebRTC specification has them (RTCIceCandidateInit): same names, same nullability.
import Type, { type Static } from 'typebox';

/** W3C RTCIceCandidateInit. An empty `candidate` string is end-of-candidates (RFC 8838 §13) and is forwarded like any other. */
export const RTCIceCandidateInit = Type.Object(
  {
    candidate: Type.Optional(Type.String()),
    sdpMid: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    sdpMLineIndex: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
    usernameFragment: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  },
  { description: 'W3C RTCIceCandidateInit; further members are forwarded as they are.' },
);
export type RTCIceCandidateInit = Static<typeof RTCIceCandidateInit>;
