// Messages to be forwarded that are spelled as JSON.stringify spells them: recognised as text, and passed on as they came.
//
// What is recognised here is one that the long way (parse.ts) would accept, and hand on with the same members and no
// others. All else takes the long way: other orders, white space, escapes in candidates, further members.
import type { Forwarded } from './forwarded.js';

/** Characters that stand for themselves in JSON, as far as candidates have them: printable ASCII without `"` and `\`. */
const CHARS = '"[ !#-\\[\\]-~]*"';
const INDEX = '(?:0|[1-9]\\d{0,4})';

/** RTCIceCandidate.toJSON() in browsers, and the order of docs/protocol.md. Members in a fixed order come once each. */
const CANDIDATE = new RegExp(
  `^\\{"type":"ice_candidate","candidate":\\{"candidate":${CHARS}(?:` +
    `,"sdpMid":${CHARS},"sdpMLineIndex":${INDEX}(?:,"usernameFragment":(?:${CHARS}|null))?|` +
    `,"sdpMLineIndex":${INDEX},"sdpMid":${CHARS})\\}\\}$`,
);

const DESCRIPTIONS = ['webrtc_offer', 'webrtc_answer'] as const;
const HEADS = DESCRIPTIONS.map((type) => ({ type, head: `{"type":"${type}","sdp":"` }));

/** Undefined for everything that has to be looked at more closely. */
export function plainForward(text: string): Forwarded | undefined {
  if (CANDIDATE.test(text)) return { type: 'ice_candidate', json: text };
  const known = HEADS.find(({ head }) => text.startsWith(head));
  return known && isDescription(text, known.head) ? { type: known.type, json: text } : undefined;
}

/** Whether nothing but one string follows: the first quote after its first one is the last character but one. */
function isDescription(text: string, head: string): boolean {
  if (text.indexOf('"', head.length) !== text.length - 2 || !text.endsWith('}')) return false;
  try {
    // Its escapes are JSON's business.
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
