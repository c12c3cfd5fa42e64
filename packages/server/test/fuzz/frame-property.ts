// Fuzzes the WebSocket port: frames that RFC 6455 allows are served, and forbidden ones close with the matching code.
import { claimed, type FrameCase, type Step } from './frame-arbitrary.js';
import { judgeServerMessage } from './message-property.js';
import { OPCODES, readFrames, type ServerFrame, textFrame } from './raw-frames.js';
import { RawSocket } from './raw-socket.js';

const HANDSHAKE = Buffer.from(
  'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
);
const CODES_OF_THE_RFC = [1000, 1002, 1005, 1007, 1008, 1009];

/** Sends one case to the server. */
export async function judgeFrames(
  port: number,
  { steps, cuts, ending, eager }: FrameCase,
): Promise<void> {
  const raw = new RawSocket(port);
  try {
    const script = Buffer.concat(steps.map((one) => one.bytes));
    if (!eager) {
      await raw.write(HANDSHAKE);
      await raw.until((received) => received.includes('"connected"'));
    }
    const asked = ending === 'ask' ? textFrame({ type: 'fuzz-end' }) : Buffer.alloc(0);
    await raw.write(Buffer.concat([eager ? HANDSHAKE : Buffer.alloc(0), script, asked]), cuts);
    if (ending === 'reset') return void raw.socket.resetAndDestroy();
    if (ending === 'truncate') await raw.write(claimed(60_000n).subarray(0, 12));
    // Random bytes can be the beginning of a long frame, and the server then waits for the rest.
    const open = ending !== 'ask' || steps.some((one) => one.close === 'any');
    if (open) raw.socket.end();
    await raw.until(
      (received) => !open && (received.includes('fuzz-end') || closeOf(received) !== undefined),
    );
    judgeEnd(steps, raw.received, open);
  } finally {
    raw.destroy();
  }
}

function judgeEnd(steps: readonly Step[], received: Buffer, open: boolean): void {
  const { close: expected, name } = steps.at(-1) ?? { close: null, name: 'nothing' };
  const code = closeOf(received);
  if (open) {
    if (
      code !== undefined &&
      name !== 'noise' &&
      name !== 'close' &&
      !CODES_OF_THE_RFC.includes(code)
    ) {
      throw new Error(`${name}: closed with ${code}`);
    }
  } else if (expected === null && !received.includes('fuzz-end')) {
    throw new Error(`${name}: not served any more, closed with ${code}`);
  } else if (expected !== null && code !== expected) {
    throw new Error(`${name}: closed with ${code} instead of ${expected}`);
  }
}

/** The frames after the opening handshake; each must be allowed for a server. */
function framesOf(received: Buffer): ServerFrame[] {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return [];
  const head = received.subarray(0, end).toString('latin1');
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`no opening handshake: ${head}`);
  if (/sec-websocket-extensions/i.test(head)) throw new Error('an extension was negotiated');
  const frames = readFrames(received.subarray(end + 4));
  for (const { opcode, payload } of frames) {
    if (opcode === OPCODES.text) judgeServerMessage(JSON.parse(payload.toString()));
  }
  return frames;
}

/** The close code of the server, 1005 if it sent none; undefined while the connection is open. */
function closeOf(received: Buffer): number | undefined {
  const closing = framesOf(received).find(({ opcode }) => opcode === OPCODES.close);
  if (closing === undefined) return undefined;
  return closing.payload.length < 2 ? 1005 : closing.payload.readUInt16BE(0);
}
