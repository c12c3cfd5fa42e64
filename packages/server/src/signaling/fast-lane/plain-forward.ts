// Messages to be forwarded that are spelled as JSON.stringify spells them: recognised as text, and passed on as they came.
//
// What is recognised here is one that the long way (parse.ts) would accept, and hand on with the same members and no
// others. All else takes the long way: other orders, white space, characters beyond ASCII, escapes in candidates,
// further members.
import type { ForwardedMessage } from '@couplet/protocol';

/** Longer ones are rare, and go the long way: of each escape the search remembers something, and memory for that ends. */
export const MAX_PLAIN_BYTES = 16_384;

/** Characters that stand for themselves in JSON, as far as these messages have them: printable ASCII without `"` and `\`. */
const CHARS = '[ !#-\\[\\]-~]*';
const STRING = `"${CHARS}"`;
const INDEX = '(?:0|[1-9]\\d{0,4})';

/** RTCIceCandidate.toJSON() in browsers, and the order of docs/protocol.md. Members in a fixed order come once each. */
const CANDIDATE = new RegExp(
  `^\\{"type":"ice_candidate","candidate":\\{"candidate":${STRING}(?:` +
    `,"sdpMid":${STRING},"sdpMLineIndex":${INDEX}(?:,"usernameFragment":(?:${STRING}|null))?|` +
    `,"sdpMLineIndex":${INDEX},"sdpMid":${STRING})\\}\\}$`,
);

/** The escapes of JSON; that of the quote ends the recognition, so that the first quote is the end of the string. */
const ESCAPE = '\\\\(?:[\\\\/bfnrt]|u[0-9a-fA-F]{4})';
const DESCRIPTION = new RegExp(
  `^\\{"type":"webrtc_(?:offer|answer)","sdp":"${CHARS}(?:${ESCAPE}${CHARS})*"\\}$`,
);

const OFFER = '{"type":"webrtc_o';

/** The types of which a message can be plain. */
export type PlainType = Extract<
  ForwardedMessage['type'],
  'ice_candidate' | 'webrtc_offer' | 'webrtc_answer'
>;

/** The type of a message that may be passed on as it is; undefined for everything that has to be looked at more closely. */
export function plainForward(text: string): PlainType | undefined {
  if (text.length > MAX_PLAIN_BYTES) return undefined;
  if (CANDIDATE.test(text)) return 'ice_candidate';
  if (!DESCRIPTION.test(text)) return undefined;
  return text.startsWith(OFFER) ? 'webrtc_offer' : 'webrtc_answer';
}
