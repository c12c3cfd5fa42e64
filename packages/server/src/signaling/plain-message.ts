// Recognizes messages in the spelling of JSON.stringify, which are forwarded unchanged.
//
// A recognized message is one that parse.ts would accept and forward with the same members and no others. Messages
// with other orders, white space, non-ASCII characters, escapes in candidates, or further members go through parse.ts.
import type { ForwardedMessage } from '@couplet/protocol';

/** Longer ones are rare and go through parse.ts: the regular expression needs memory for each escape. */
export const MAX_PLAIN_BYTES = 16_384;

/** Characters without escapes: printable ASCII without `"` and `\`. */
const CHARS = '[ !#-\\[\\]-~]*';
const STRING = `"${CHARS}"`;
const INDEX = '(?:0|[1-9]\\d{0,4})';

/** The order of RTCIceCandidate.toJSON() and of docs/protocol.md. A fixed order makes each member occur once. */
const CANDIDATE = new RegExp(
  `^\\{"type":"ice_candidate","candidate":\\{"candidate":${STRING}(?:` +
    `,"sdpMid":${STRING},"sdpMLineIndex":${INDEX}(?:,"usernameFragment":(?:${STRING}|null))?|` +
    `,"sdpMLineIndex":${INDEX},"sdpMid":${STRING})\\}\\}$`,
);

/** The escapes of JSON except the escaped quote, so the first quote is the end of the string. */
const ESCAPE = '\\\\(?:[\\\\/bfnrt]|u[0-9a-fA-F]{4})';
const DESCRIPTION = new RegExp(
  `^\\{"type":"webrtc_(?:offer|answer)","sdp":"${CHARS}(?:${ESCAPE}${CHARS})*"(?:,"mac":${STRING})?\\}$`,
);

const OFFER = '{"type":"webrtc_o';

/** The types of plain messages. */
export type PlainType = Extract<
  ForwardedMessage['type'],
  'ice_candidate' | 'webrtc_offer' | 'webrtc_answer'
>;

/** The type of a message that may be forwarded unchanged; undefined if the message must be parsed. */
export function plainForward(text: string): PlainType | undefined {
  if (text.length > MAX_PLAIN_BYTES) return undefined;
  if (CANDIDATE.test(text)) return 'ice_candidate';
  if (!DESCRIPTION.test(text)) return undefined;
  return text.startsWith(OFFER) ? 'webrtc_offer' : 'webrtc_answer';
}
