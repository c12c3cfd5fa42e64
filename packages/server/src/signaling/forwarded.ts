// A message on its way to the peer, as JSON: the members of its schema and no others; who sends it is added by who forwards it.
import type { ForwardedMessage } from '@couplet/protocol';
import { assertNever } from '../platform/assert-never.js';

export interface Forwarded {
  readonly type: ForwardedMessage['type'];
  /** The whole object, `type` included. */
  readonly json: string;
}

export const forwarded = (message: ForwardedMessage): Forwarded => ({
  type: message.type,
  json: JSON.stringify(membersOf(message)),
});

function membersOf(message: ForwardedMessage): object {
  const { type } = message;
  switch (type) {
    case 'webrtc_offer':
    case 'webrtc_answer':
      return { type, sdp: message.sdp };
    case 'ice_candidate':
      return { type, candidate: message.candidate };
    case 'key_exchange': {
      const { publicKey, sessionId, timestamp } = message;
      return { type, publicKey, sessionId, timestamp };
    }
    case 'key_exchange_complete': {
      const { sessionId, timestamp } = message;
      return { type, sessionId, timestamp };
    }
    default:
      return assertNever(type);
  }
}
