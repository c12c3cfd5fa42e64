// Defines how a client enters and what it sends, for each forwarding server. The frames have the same size for all.
import { textFrame } from '../wire/client-frames.js';

export type FrameKind = 'candidate' | 'offer';

export type DialectName = 'couplet' | 'peerjs' | 'bare';

export interface Dialect {
  /** Path of the opening handshake. */
  path(pair: number, seat: number): string;
  /** Text frames that a client receives before it may send anything. */
  greetings: number;
  /** The message that it then sends to enter its room; undefined if it is already in. */
  join: ((pair: number, seat: number) => Buffer) | undefined;
  /** Number of text frames that a client has received once its room is ready. */
  untilReady: number;
  /** A frame for the peer. */
  frame(kind: FrameKind, pair: number, seat: number): Buffer;
  /** Whether the frame is the same for all clients, and is then stored once. */
  sharesFrames: boolean;
}

/** Bytes of a message before framing: a typical browser candidate, or a data channel offer with some candidates. */
export const MESSAGE_BYTES: Record<FrameKind, number> = { candidate: 245, offer: 2500 };

const roomId = (pair: number): string => pair.toString(16).padStart(48, '0');
const peerId = (pair: number, seat: number): string => `${roomId(pair).slice(12)}-${seat}`;

/** A candidate whose text has `bytes` bytes. */
const candidate = (text: string) => ({
  candidate: `candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx${text}`,
  sdpMLineIndex: 0,
  sdpMid: '0',
});
const sdp = (text: string) => `v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\n${text}`;

/** Extends the text of a message until the whole message has its size. */
function filled(kind: FrameKind, message: (text: string) => object): Buffer {
  const bare = JSON.stringify(message('')).length;
  const room = MESSAGE_BYTES[kind] - bare;
  if (room < 0) throw new Error(`a ${kind} does not fit into ${MESSAGE_BYTES[kind]} bytes`);
  return textFrame(message(' raddr 10.0.0.17 rport 46154 '.repeat(200).slice(0, room)));
}

export const DIALECTS: Record<DialectName, Dialect> = {
  couplet: {
    path: () => '/',
    greetings: 1,
    join: (pair, seat) =>
      textFrame({ type: 'join_room', roomId: roomId(pair), deviceId: peerId(pair, seat) }),
    // connected, room_joined, room_ready
    untilReady: 3,
    frame: (kind) =>
      kind === 'candidate'
        ? filled(kind, (text) => ({ type: 'ice_candidate', candidate: candidate(text) }))
        : filled(kind, (text) => ({ type: 'webrtc_offer', sdp: sdp(text) })),
    sharesFrames: true,
  },
  peerjs: {
    path: (pair, seat) => `/peerjs?key=peerjs&id=${peerId(pair, seat)}&token=t&version=1.5.5`,
    // OPEN
    greetings: 1,
    join: undefined,
    untilReady: 1,
    frame: (kind, pair, seat) => {
      const dst = peerId(pair, 1 - seat);
      return kind === 'candidate'
        ? filled(kind, (text) => ({
            type: 'CANDIDATE',
            dst,
            payload: { candidate: candidate(text) },
          }))
        : filled(kind, (text) => ({ type: 'OFFER', dst, payload: { sdp: sdp(text) } }));
    },
    sharesFrames: false,
  },
  bare: {
    path: (pair, seat) => `/?pair=${pair}&seat=${seat}`,
    greetings: 0,
    join: undefined,
    untilReady: 0,
    frame: (kind) => DIALECTS.couplet.frame(kind, 0, 0),
    sharesFrames: true,
  },
};
