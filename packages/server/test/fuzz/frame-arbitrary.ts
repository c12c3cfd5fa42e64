// Generates WebSocket traffic as bytes: frames that RFC 6455 allows, usually followed by one that it forbids.
import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { closePayload, type FrameOptions, frame, OPCODES, textFrame } from './raw-frames.js';

/** Bytes, and the close code that must answer them: null for none, 'any' if the RFC leaves it open. */
export interface Step {
  name: string;
  bytes: Buffer;
  close: number | null | 'any';
}

export interface FrameCase {
  steps: Step[];
  cuts: number[];
  /** How the client ends: by waiting for one more answer, by half-closing, by a reset, or within a frame. */
  ending: 'ask' | 'end' | 'reset' | 'truncate';
  /** Whether the frames come in one piece with the opening handshake. */
  eager: boolean;
}

const { continuation, text, binary, close, ping, pong } = OPCODES;

const bytes = (maxLength: number, minLength = 0) =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
const notUtf8 = bytes(40, 1)
  .map((noise) => Buffer.concat([noise, Buffer.from([0xff])]))
  .filter((given) => !isUtf8(given));
const control = fc.constantFrom(close, ping, pong);
const legalText = fc.oneof(
  fc.constant(JSON.stringify({ type: 'ping' })),
  fc.string({ unit: 'binary', maxLength: 200 }).filter((given) => !/\p{Surrogate}/u.test(given)),
);

const fragments = fc.tuple(
  legalText,
  fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
);

/** A message in fragments, with control frames between them; characters may be split. */
function fragmented([message, cuts]: [string, number[]]): Buffer {
  const whole = Buffer.from(message);
  const places = cuts.map((cut) => Math.floor(cut * whole.length)).sort((a, b) => a - b);
  const ends = [...places, whole.length];
  const parts = ends.map((end, n) => whole.subarray(n === 0 ? 0 : ends[n - 1], end));
  return Buffer.concat(
    parts.flatMap((payload, n) => [
      frame({
        opcode: n === 0 ? text : continuation,
        payload,
        fin: n === parts.length - 1,
      }),
      frame({ opcode: n % 2 === 0 ? ping : pong, payload: Buffer.from([n]) }),
    ]),
  );
}

/** The frames with one close code: name → input and encoding. */
const steps = (closeCode: Step['close'], kinds: Record<string, fc.Arbitrary<Buffer>>) =>
  Object.entries(kinds).map(([name, written]) =>
    written.map((given): Step => ({ name, bytes: given, close: closeCode })),
  );

const asText = (message: string, options: Partial<FrameOptions> = {}) =>
  frame({ opcode: text, payload: Buffer.from(message), ...options });

const legal = [
  ...steps(null, {
    text: legalText.map((message) => textFrame(message)),
    binary: bytes(300).map((payload) => frame({ opcode: binary, payload })),
    ping: bytes(125).map((payload) => frame({ opcode: ping, payload })),
    'burst of pings': fc
      .integer({ min: 100, max: 1000 })
      .map((count) => Buffer.concat(Array(count).fill(frame({ opcode: ping })))),
    'unasked pong': bytes(125).map((payload) => frame({ opcode: pong, payload })),
    fragments: fragments.map(fragmented),
    'mask of zeros': legalText.map((message) => asText(message, { mask: Buffer.alloc(4) })),
  }),
  ...steps('any', {
    'longer length field than needed': fc
      .constantFrom<2 | 8>(2, 8)
      .map((lengthBytes) => asText('{}', { lengthBytes })),
  }),
];

const start = asText('{', { fin: false });
export const claimed = (claimedLength: bigint, opcode: number = text) =>
  frame({ opcode, payload: Buffer.from('x'), claimedLength, lengthBytes: 8 });
const continued = (payload: Buffer, fin = true) => frame({ opcode: continuation, payload, fin });

const forbidden = [
  ...steps(1002, {
    unmasked: legalText.map((message) => asText(message, { masked: false })),
    // Compressed frames set RSV1 alone; compression is never negotiated.
    'reserved bits': fc
      .tuple(fc.integer({ min: 1, max: 7 }), fc.constantFrom(text, binary, ping, close))
      .map(([rsv, opcode]) => frame({ opcode, rsv, payload: Buffer.from([0xaa, 0x56, 0x4a]) })),
    'reserved opcode': fc
      .constantFrom(3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
      .map((opcode) => frame({ opcode })),
    'fragmented control frame': control.map((opcode) => frame({ opcode, fin: false })),
    'long control frame': fc
      .tuple(control, bytes(300, 126))
      .map(([opcode, payload]) => frame({ opcode, payload })),
    'continuation without start': bytes(20).map((payload) => continued(payload)),
    'new message amid another': fc
      .constantFrom(text, binary)
      .map((opcode) => Buffer.concat([start, frame({ opcode, payload: Buffer.from('}') })])),
    'long length of a control frame': fc
      .bigInt({ min: 126n, max: 2n ** 64n - 1n })
      .map((length) => claimed(length, ping)),
    'close code that may not be sent': fc
      .oneof(
        fc.constantFrom(0, 999, 1004, 1005, 1006, 1015, 65_535),
        fc.integer({ min: 1016, max: 2999 }),
        fc.integer({ min: 5000, max: 65_535 }),
      )
      .map((code) => frame({ opcode: close, payload: closePayload(code) })),
    'close frame of one byte': fc
      .nat(255)
      .map((byte) => frame({ opcode: close, payload: Buffer.from([byte]) })),
  }),
  ...steps(1007, {
    'text that is not UTF-8': notUtf8.map((payload) => frame({ opcode: text, payload })),
    'fragments that are not UTF-8': notUtf8.map((payload) =>
      Buffer.concat([frame({ opcode: text, payload, fin: false }), continued(Buffer.alloc(0))]),
    ),
    'close reason that is not UTF-8': notUtf8.map((reason) =>
      frame({ opcode: close, payload: closePayload(1000, reason) }),
    ),
  }),
  ...steps(1009, {
    'length over the cap': fc
      .bigInt({ min: 65_537n, max: 2n ** 53n })
      .map((length) => claimed(length)),
    'length over 2^53': fc
      .bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n })
      .map((length) => claimed(length)),
    'fragments over the cap': fc
      .integer({ min: 65_537, max: 90_000 })
      .map((total) =>
        Buffer.concat([
          asText('x'.repeat(40_000), { fin: false }),
          continued(Buffer.alloc(total - 40_000, 'x')),
        ]),
      ),
  }),
  ...steps('any', {
    'payload under another mask': legalText.map((message) => {
      const whole = asText(`${message}.`, { mask: Buffer.alloc(4, 7) });
      whole[whole.length - 1] = (whole.at(-1) as number) ^ 0x80;
      return whole;
    }),
    'many empty fragments': fc.integer({ min: 1, max: 3000 }).map((count) => {
      const empty = continued(Buffer.alloc(0), false);
      return Buffer.concat([start, ...Array(count).fill(empty), continued(Buffer.from('}'))]);
    }),
    noise: bytes(200, 1),
  }),
];

const goodbye: fc.Arbitrary<Step> = fc.constantFrom(1000, 1001, 1011, 3000, 4999).map((code) => ({
  name: 'close',
  bytes: frame({ opcode: close, payload: closePayload(code, 'bye') }),
  close: code,
}));

/** A few valid frames, then usually an invalid one. */
export const frameCases: fc.Arbitrary<FrameCase> = fc
  .record({
    before: fc.array(fc.oneof(...legal), { maxLength: 5 }),
    last: fc.option(
      fc.oneof(
        { weight: 12, arbitrary: fc.oneof(...forbidden) },
        { weight: 1, arbitrary: goodbye },
      ),
      { freq: 4 },
    ),
    cuts: fc.oneof(
      {
        weight: 3,
        arbitrary: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
      },
      // A slow drip: nearly every byte is sent by itself.
      { weight: 1, arbitrary: fc.constant(Array.from({ length: 300 }, (_, n) => n / 300)) },
    ),
    ending: fc.oneof(
      { weight: 5, arbitrary: fc.constant('ask' as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('end' as const, 'reset' as const, 'truncate' as const),
      },
    ),
    eager: fc.boolean(),
  })
  .map(({ before, last, ...rest }) => ({ steps: last ? [...before, last] : before, ...rest }));
