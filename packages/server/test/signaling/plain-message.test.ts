// A recognized message is one that parse.ts accepts with the same members; all others are left to parse.ts.
import { CLIENT_MESSAGES } from '@couplet/protocol/schema';
import { Compile } from '@couplet/protocol/typebox';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseMessage } from '../../src/signaling/parse.js';
import { plainForward } from '../../src/signaling/plain-message.js';

const CANDIDATE = 'candidate:1 1 udp 2122260223 192.0.2.7 54321 typ host generation 0';
const checks = {
  ice_candidate: Compile(CLIENT_MESSAGES.ice_candidate),
  webrtc_offer: Compile(CLIENT_MESSAGES.webrtc_offer),
  webrtc_answer: Compile(CLIENT_MESSAGES.webrtc_answer),
};

const candidate = (members: object) =>
  JSON.stringify({ type: 'ice_candidate', candidate: { candidate: CANDIDATE, ...members } });
const description = (sdp: string) => JSON.stringify({ type: 'webrtc_offer', sdp });

const PLAIN = [
  candidate({ sdpMid: '0', sdpMLineIndex: 0, usernameFragment: 'abcd' }),
  candidate({ sdpMid: '0', sdpMLineIndex: 12, usernameFragment: null }),
  candidate({ sdpMLineIndex: 0, sdpMid: 'audio' }),
  candidate({ candidate: '', sdpMid: '', sdpMLineIndex: 0 }),
  description('v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=\\ \b\f\t\r\n'),
  '{"type":"webrtc_offer","sdp":"\\/ \\u00e9 \\u0022 \\ud83d"}',
  description(''),
  JSON.stringify({ type: 'webrtc_answer', sdp: 'v=0' }),
  JSON.stringify({ type: 'webrtc_offer', sdp: 'v=0\r\n', mac: 'c2VhbA-_' }),
];

test.each(PLAIN)('a message as clients spell it is passed on as it came: %s', (text) => {
  expect(plainForward(text)).toBe(JSON.parse(text).type);
});

test.each([
  '{"type":"webrtc_offer","sdp":"a","extra":1}',
  '{"type":"webrtc_offer","sdp":"a","sdp":"b"}',
  '{"type":"webrtc_offer","sdp":"a","mac":"b","mac":"c"}',
  '{"type":"webrtc_offer","sdp":"a","mac":"\\u0041"}',
  '{"type":"webrtc_offer","sdp":"é"}',
  '{"type":"webrtc_offer","sdp":"a","from":"me"}',
  '{"from":"me","type":"webrtc_offer","sdp":"a"}',
  '{"type": "webrtc_offer","sdp":"a"}',
  '{"sdp":"a","type":"webrtc_offer"}',
  '{"type":"ice_candidate","candidate":{"candidate":"","sdpMid":"0","sdpMid":"1","sdpMLineIndex":0}}',
  '{"type":"ice_candidate","candidate":{"candidate":"","sdpMid":"0","sdpMLineIndex":0,"x":1}}',
  '{"type":"ice_candidate","candidate":{"candidate":"\\u0041","sdpMid":"0","sdpMLineIndex":0}}',
  '{"type":"ice_candidate","candidate":{"candidate":"","sdpMid":"0","sdpMLineIndex":01}}',
  '{"type":"ice_candidate","candidate":null}',
])('all others go through parse.ts: %s', (text) => {
  expect(plainForward(text)).toBeUndefined();
});

test('a description with megabytes of escapes goes through parse.ts without an error', () => {
  const text = `{"type":"webrtc_offer","sdp":"${'\\n'.repeat(8_000_000)}"}`;
  expect(plainForward(text)).toBeUndefined();
  expect(parseMessage(text).kind).toBe('message');
});

test('after any edit, a recognized message is valid, and has each member once', () => {
  const pieces = fc.constantFrom(
    ...PLAIN,
    '"',
    '\\',
    ',',
    '}',
    '{',
    '0',
    '"sdp":"x"',
    '\\u0022',
    '\\x',
    '\\"',
    '\n',
    'é',
    '"sdpMid":"1",',
  );
  const edit = fc.record({
    at: fc.nat(400),
    cut: fc.nat(12),
    put: fc.oneof(pieces, fc.string({ maxLength: 6 })),
  });
  fc.assert(
    fc.property(fc.constantFrom(...PLAIN), fc.array(edit, { maxLength: 3 }), (plain, edits) => {
      const text = edits.reduce((s, { at, cut, put }) => {
        const from = at % (s.length + 1);
        return s.slice(0, from) + put + s.slice(from + cut);
      }, plain);
      const recognised = plainForward(text);
      if (recognised === undefined) return;
      const value = JSON.parse(text);
      expect(recognised).toBe(value.type);
      const check = checks[value.type as keyof typeof checks];
      expect(check.Check(value)).toBe(true);
      // Serialized again it is the same text, except for escapes: no member occurs twice, and all are in the schema.
      if (value.type === 'ice_candidate') expect(JSON.stringify(value)).toBe(text);
      else {
        const { type, sdp, ...rest } = value;
        const end = 'mac' in rest ? `,"mac":"${rest.mac}"}` : '}';
        expect(text.endsWith(end)).toBe(true);
        const inner = text.slice(`{"type":"${type}","sdp":"`.length, -end.length - 1);
        expect(inner).not.toContain('"');
        expect(JSON.parse(`"${inner}"`)).toBe(sdp);
        expect(Object.keys(rest).filter((name) => name !== 'mac')).toEqual([]);
      }
    }),
    { numRuns: 20_000 },
  );
});
