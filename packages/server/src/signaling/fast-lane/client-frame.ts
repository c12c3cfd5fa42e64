// Parses client frames (RFC 6455 §5.2): finds their bounds and unmasks their payload.
import { FINAL_TEXT } from '../websocket/text-frame.js';

/** First bytes of frames after which a new message can begin: no open fragment, and no close. */
const FINAL_BINARY = 0x82;
const PING = 0x89;
const PONG = 0x8a;
const SELF_CONTAINED: readonly number[] = [FINAL_TEXT, FINAL_BINARY, PING, PONG];

const MASKED = 0x80;
const MASK_BYTES = 4;

/** The header of one frame. One object is reused for all frames, to avoid an allocation for each. */
export class ClientFrame {
  /** Opcode and flags. */
  first = 0;
  payloadAt = 0;
  payloadBytes = 0;

  /** Offset of the next frame. */
  get end(): number {
    return this.payloadAt + this.payloadBytes;
  }

  /** Reads the header at `at`; false if it is incomplete, or not one that a client may send. */
  read(bytes: Buffer, at: number): boolean {
    const second = bytes[at + 1];
    if (second === undefined || second < MASKED) return false;
    const length = second - MASKED;
    const headBytes = (length < 126 ? 2 : length === 126 ? 4 : 10) + MASK_BYTES;
    if (at + headBytes > bytes.length) return false;
    this.first = bytes[at] as number;
    this.payloadAt = at + headBytes;
    this.payloadBytes = length;
    if (length === 126) this.payloadBytes = bytes.readUInt16BE(at + 2);
    if (length === 127) this.payloadBytes = Number(bytes.readBigUInt64BE(at + 2));
    return true;
  }

  /** Copies the unmasked payload of the frame (§5.3). */
  unmaskInto(target: DataView, at: number, source: DataView): void {
    const { payloadAt, payloadBytes } = this;
    const mask = source.getInt32(payloadAt - MASK_BYTES);
    const inFours = payloadBytes & ~3;
    for (let n = 0; n < inFours; n += 4) {
      target.setInt32(at + n, source.getInt32(payloadAt + n) ^ mask);
    }
    for (let n = inFours; n < payloadBytes; n++) {
      const byteOfMask = source.getUint8(payloadAt - MASK_BYTES + (n & 3));
      target.setUint8(at + n, source.getUint8(payloadAt + n) ^ byteOfMask);
    }
  }
}

const frame = new ClientFrame();

/**
 * The end of the last frame that begins before `limit` in `bytes`. The first `owed` bytes belong to an earlier frame. The
 * end is beyond `bytes` if the frame is incomplete. Undefined if it cannot be determined: within a header, and after a
 * fragment, a close frame or an invalid frame.
 */
export function endOfFrames(bytes: Buffer, owed: number, limit: number): number | undefined {
  let at = owed;
  while (at < bytes.length && at < limit) {
    if (!frame.read(bytes, at) || !SELF_CONTAINED.includes(frame.first)) return undefined;
    at = frame.end;
  }
  return at;
}
