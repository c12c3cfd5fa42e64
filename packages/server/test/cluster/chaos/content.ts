// Creates the numbered messages that clients forward, and reads them at the receiver.
import { isDeepStrictEqual } from 'node:util';
import type { Label } from './history.js';
import { CONTENT_MARK } from './world.js';

type Message = Record<string, unknown>;

/** Every kind of forwarded message in turn, each with a false sender and a false room. */
export function messageOf(label: Label): Message {
  return {
    ...fieldsOf(label),
    from: 'somebody else',
    roomId: 'another room',
    extra: 'stays behind',
  };
}

function fieldsOf(label: Label): Message {
  const { conn, n, ready, initiator, room } = label;
  const text = [CONTENT_MARK, conn, n, ready, initiator ? 1 : 0, room].join('~');
  switch (n % 4) {
    case 0:
      return { type: 'webrtc_offer', sdp: text };
    case 1:
      return { type: 'webrtc_answer', sdp: text };
    case 2: {
      const candidate = { candidate: text, sdpMid: '0', sdpMLineIndex: 0 };
      return { type: 'ice_candidate', candidate };
    }
    default:
      return { type: 'key_exchange', publicKey: text, sessionId: `${n}`, timestamp: n };
  }
}

/** The label of a forwarded message; null if any field differs from the sent message. */
export function labelOf({ from: _from, roomId: _roomId, ...fields }: Message): Label | null {
  const { sdp, candidate, publicKey } = fields;
  const text = sdp ?? publicKey ?? (candidate as { candidate?: unknown } | undefined)?.candidate;
  const [, , conn, n, ready, initiator, ...room] = String(text).split('~');
  const label = {
    conn: Number(conn),
    n: Number(n),
    ready: Number(ready),
    initiator: initiator === '1',
    room: room.join('~'),
  };
  return isDeepStrictEqual(fieldsOf(label), fields) ? label : null;
}
