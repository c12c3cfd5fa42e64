// Writes WebSocket frames byte by byte (RFC 6455 §5.2), including invalid ones, and parses the server's frames strictly.
import { randomBytes } from 'node:crypto';

export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

/** A frame to write; omitted fields are as the RFC requires for a client. */
export interface FrameOptions {
  opcode: number;
  payload?: Buffer;
  fin?: boolean;
  /** The three reserved bits, RSV1 the highest. */
  rsv?: number;
  masked?: boolean;
  mask?: Buffer;
  /** The payload length in the header, regardless of the payload. */
  claimedLength?: bigint;
  /** Additional bytes of the length field, even if fewer would suffice. */
  lengthBytes?: 0 | 2 | 8;
}

/** Writes one frame. */
export function frame({
  opcode,
  payload = Buffer.alloc(0),
  fin = true,
  rsv = 0,
  masked = true,
  mask = randomBytes(4),
  claimedLength = BigInt(payload.length),
  lengthBytes = claimedLength < 126n ? 0 : claimedLength < 65_536n ? 2 : 8,
}: FrameOptions): Buffer {
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const maskBit = masked ? 0x80 : 0;
  const short = lengthBytes === 0 ? Number(claimedLength) : lengthBytes === 2 ? 126 : 127;
  const length = Buffer.alloc(lengthBytes);
  if (lengthBytes === 2) length.writeUInt16BE(Number(claimedLength));
  if (lengthBytes === 8) length.writeBigUInt64BE(claimedLength);
  const header = [Buffer.from([first, maskBit | short]), length];
  if (!masked) return Buffer.concat([...header, payload]);
  const hidden = payload.map((byte, index) => byte ^ (mask[index % 4] as number));
  return Buffer.concat([...header, mask, hidden]);
}

export const textFrame = (message: object | string): Buffer =>
  frame({
    opcode: OPCODES.text,
    payload: Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)),
  });

/** Payload of a close frame. */
export function closePayload(code: number, reason: string | Buffer = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason as string)]);
}

/** A frame that the server sent. */
export interface ServerFrame {
  opcode: number;
  payload: Buffer;
}

/** Splits the server's bytes into frames, without an incomplete last one. Throws on anything that a server must not send. */
export function readFrames(bytes: Buffer): ServerFrame[] {
  const frames: ServerFrame[] = [];
  for (let rest = bytes; rest.length >= 2; ) {
    const [first = 0, second = 0] = rest;
    if ((first & 0x70) !== 0) throw new Error('the server set a reserved bit');
    if ((first & 0x80) === 0) throw new Error('the server fragmented a message');
    if ((second & 0x80) !== 0) throw new Error('the server masked a frame');
    const opcode = first & 0x0f;
    if (![OPCODES.text, OPCODES.close, OPCODES.ping, OPCODES.pong].includes(opcode as 1)) {
      throw new Error(`the server sent opcode ${opcode}`);
    }
    const short = second & 0x7f;
    const header = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (rest.length < header) break;
    const long = () => (short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2)));
    const end = header + (short < 126 ? short : long());
    if (rest.length < end) break;
    frames.push({ opcode, payload: rest.subarray(header, end) });
    rest = rest.subarray(end);
  }
  return frames;
}
