// Encodes a text message as one server frame (RFC 6455 §5.2): unmasked, unfragmented, header and payload in one buffer.

/** First byte of an unfragmented text frame. */
export const FINAL_TEXT = 0x81;

/** Values of the second byte for the two longer length forms; lengths up to 125 are in that byte. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;

export function textFrame(text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  const headBytes = headBytesOf(bytes);
  const frame = Buffer.allocUnsafe(headBytes + bytes);
  writeHead(frame, 0, bytes);
  // ASCII text has as many bytes as characters, and is only copied.
  frame.write(text, headBytes, bytes === text.length ? 'latin1' : 'utf8');
  return frame;
}

/** Header size for a payload of so many bytes. */
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
