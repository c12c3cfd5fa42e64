// Encodes client frames of RFC 6455 §5 before the measurement, so that the generator only writes bytes.
import { randomBytes } from 'node:crypto';

const FIN = 0x80;
const MASKED = 0x80;

export const TEXT = 1;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** One masked frame, with its own mask (RFC 6455 §5.3). */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + extra + 4 + length);
  frame[0] = FIN | opcode;
  frame[1] = MASKED | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  mask.copy(frame, 2 + extra);
  for (let n = 0; n < length; n++) {
    frame[2 + extra + 4 + n] = (payload[n] as number) ^ (mask[n % 4] as number);
  }
  return frame;
}

/** A text message as one frame. */
export const textFrame = (message: object): Buffer =>
  clientFrame(TEXT, Buffer.from(JSON.stringify(message)));

/** The answer to a ping without payload, the form that the measured servers send. */
export const PONG_FRAME = clientFrame(PONG, Buffer.alloc(0));

/** The upgrade request of RFC 6455 §4.1. */
export const openingHandshake = (path: string, port: number): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n\r\n`;
