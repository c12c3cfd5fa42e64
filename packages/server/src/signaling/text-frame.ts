// One text message as one frame of RFC 6455 §5.2, server to client: unmasked, not fragmented, head and payload in one piece.

/** The final frame of a message that is text. */
const FINAL_TEXT = 0x81;

/** Lengths up to 125 are told in the second byte; what stands there for the two longer forms. */
const LENGTH_16 = 126;
const LENGTH_64 = 127;

export function textFrame(text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  if (bytes < LENGTH_16) return frameOf(text, bytes, 2, bytes);
  if (bytes < 65_536) {
    const frame = frameOf(text, bytes, 4, LENGTH_16);
    frame.writeUInt16BE(bytes, 2);
    return frame;
  }
  const frame = frameOf(text, bytes, 10, LENGTH_64);
  frame.writeUIntBE(0, 2, 2);
  frame.writeUIntBE(bytes, 4, 6);
  return frame;
}

function frameOf(text: string, bytes: number, headBytes: number, length: number): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + bytes);
  frame[0] = FINAL_TEXT;
  frame[1] = length;
  // Text without any but ASCII characters has as many bytes as characters, and is only copied.
  frame.write(text, headBytes, bytes === text.length ? 'latin1' : 'utf8');
  return frame;
}
