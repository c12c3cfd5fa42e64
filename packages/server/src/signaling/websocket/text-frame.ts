// One text message as one frame of RFC 6455 §5.2, server to client: unmasked, not fragmented, head and payload in one piece.

/** The first byte of a message that is text, in one frame. */
export const FINAL_TEXT = 0x81;

/** Lengths up to 125 are told in the second byte; what stands there for the two longer forms. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;

export function textFrame(text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  const headBytes = headBytesOf(bytes);
  const frame = Buffer.allocUnsafe(headBytes + bytes);
  writeHead(frame, 0, bytes);
  // Text without any but ASCII characters has as many bytes as characters, and is only copied.
  frame.write(text, headBytes, bytes === text.length ? 'latin1' : 'utf8');
  return frame;
}

/** How long the head is, of a frame with a payload of so many bytes. */
export const headBytesOf = (bytes: number): number =>
  bytes < LENGTH_16 ? 2 : bytes < 65_536 ? 4 : 10;

export function writeHead(frame: Buffer, at: number, bytes: number): void {
  frame[at] = FINAL_TEXT;
  if (bytes < LENGTH_16) frame[at + 1] = bytes;
  else if (bytes < 65_536) {
    frame[at + 1] = LENGTH_16;
    frame.writeUInt16BE(bytes, at + 2);
  } else {
    frame[at + 1] = LENGTH_64;
    frame.writeUIntBE(0, at + 2, 2);
    frame.writeUIntBE(bytes, at + 4, 6);
  }
}
