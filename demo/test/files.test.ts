// Tests file transfers: frames, checksums, and the limits of a receiver.
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CHUNK_BYTES, decodeFrame, encodeFrame, type FileFrame } from '../src/file-frames.js';
import { FileReceiver } from '../src/file-receiver.js';
import { sendFile } from '../src/file-sender.js';
import { Sha256 } from '../src/sha256.js';

const bytesOf = (length: number) => new Uint8Array(randomBytes(length));
const sumOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('a frame', () => {
  const frames: FileFrame[] = [
    { kind: 'offer', id: 1, name: 'ä "quoted" name.txt', size: 5, mediaType: 'text/plain' },
    { kind: 'chunk', id: 0xffff_ffff, bytes: new Uint8Array([1, 2, 3]) },
    { kind: 'end', id: 2, sha256: 'aa' },
    { kind: 'received', id: 3, sha256: 'bb' },
    { kind: 'cancelled', id: 4 },
    { kind: 'refused', id: 5, reason: 'too_large' },
  ];
  test.each(frames)('$kind is decoded as it was encoded', (frame) => {
    expect(decodeFrame(encodeFrame(frame))).toEqual(frame);
  });

  test('a full chunk is within the message size that every browser accepts', () => {
    const frame = encodeFrame({ kind: 'chunk', id: 1, bytes: bytesOf(CHUNK_BYTES) });
    expect(frame.byteLength).toBeLessThanOrEqual(65_536);
  });

  test.each([
    ['nothing', []],
    ['half a header', [0, 0, 0]],
    ['an unknown kind', [99, 0, 0, 0, 1]],
    ['an offer without fields', [0, 0, 0, 0, 1]],
    ['an offer that is not JSON', [0, 0, 0, 0, 1, 123]],
    ['an offer of null', [0, 0, 0, 0, 1, ...Buffer.from('null')]],
    ['a negative size', [0, 0, 0, 0, 1, ...Buffer.from('{"name":"a","mediaType":"","size":-1}')]],
    ['an invalid checksum', [2, 0, 0, 0, 1, ...Buffer.from('{"sha256":7}')]],
  ])('%s is not a frame', (_, message) => {
    expect(decodeFrame(new Uint8Array(message).buffer)).toBeUndefined();
  });
});

test.each([0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 100_000])(
  'SHA-256 of %i bytes matches the Node implementation for any chunk sizes',
  (length) => {
    const bytes = bytesOf(length);
    const sum = new Sha256();
    for (let at = 0, size = 1; at < length; at += size, size = (size * 7) % 997) {
      sum.update(bytes.subarray(at, at + size));
    }
    expect(sum.hex()).toBe(sumOf(bytes));
  },
);

describe('a transfer', () => {
  const OFFER = { name: 'a', size: 10, mediaType: 'text/html' };

  test('sends the whole file, waits for the channel before each chunk, and computes the checksum', async () => {
    const content = bytesOf(20 * CHUNK_BYTES + 7);
    const frames: FileFrame[] = [];
    let waits = 0;
    const session = {
      send: (data: unknown) => frames.push(decodeFrame(data as ArrayBuffer) as FileFrame),
      drained: async () => {
        waits += 1;
      },
    };
    const progress: number[] = [];
    const file = new File([content], 'a.bin', { type: 'application/x-thing' });
    const sha256 = await sendFile(session, 7, file, {
      signal: new AbortController().signal,
      onProgress: (sent) => progress.push(sent),
    });
    expect(frames[0]).toEqual({
      ...{ kind: 'offer', id: 7, name: 'a.bin', size: content.length },
      mediaType: 'application/x-thing',
    });
    const chunks = frames.flatMap((frame) => (frame.kind === 'chunk' ? [frame.bytes] : []));
    expect(Buffer.concat(chunks).equals(content)).toBe(true);
    expect(frames.at(-1)).toEqual({ kind: 'end', id: 7, sha256: sumOf(content) });
    expect(sha256).toBe(sumOf(content));
    expect(waits).toBe(chunks.length);
    expect(progress.at(-1)).toBe(content.length);
  });

  /** Sends a file whose slices are read by `read`; returns the frames and the result. */
  async function sendUnreadable(
    read: (from: number) => Promise<ArrayBuffer>,
    signal = new AbortController().signal,
  ) {
    const kinds = new Set<string | undefined>();
    const session = {
      send: (data: unknown) => kinds.add(decodeFrame(data as ArrayBuffer)?.kind),
      drained: async () => {},
    };
    const file = new File([bytesOf(40 * CHUNK_BYTES)], 'a');
    file.slice = (from = 0) => Object.assign(new Blob(), { arrayBuffer: () => read(from) });
    const ended = await sendFile(session, 1, file, { signal, onProgress: () => {} }).catch(String);
    return { kinds: [...kinds], ended };
  }

  test('fails if the file has become shorter, and never sends the end', async () => {
    const read = async (from: number) => new ArrayBuffer(from === 0 ? 16 * CHUNK_BYTES : 10);
    expect(await sendUnreadable(read)).toEqual({
      kinds: ['offer', 'chunk'],
      ended: 'Error: the file ends early',
    });
  });

  test('does not offer a file that cannot be read', async () => {
    const read = () => Promise.reject(new Error('a folder'));
    expect(await sendUnreadable(read)).toEqual({ kinds: [], ended: 'Error: a folder' });
  });

  test('can be aborted during a read that never ends', async () => {
    const stopping = new AbortController();
    const sending = sendUnreadable(() => new Promise(() => {}), stopping.signal);
    stopping.abort('canceled');
    expect(await sending).toEqual({ kinds: [], ended: 'canceled' });
  });

  test('stops when it is canceled', async () => {
    const stopping = new AbortController();
    let sent = 0;
    const session = {
      send: () => {
        sent += 1;
        if (sent === 3) stopping.abort(new Error('canceled'));
      },
      drained: async () => {},
    };
    const file = new File([bytesOf(10 * CHUNK_BYTES)], 'a');
    const options = { signal: stopping.signal, onProgress: () => {} };
    await expect(sendFile(session, 1, file, options)).rejects.toThrow('canceled');
    expect(sent).toBe(3);
  });

  test('a receiver returns the bytes, never with the type of a web page', async () => {
    const receiver = new FileReceiver(OFFER);
    for (const chunk of [
      [1, 2, 3, 4],
      [5, 6, 7, 8, 9, 10],
    ]) {
      expect(receiver.take(new Uint8Array(chunk))).toBe(true);
    }
    const { file, sha256, isWhole } = await receiver.finish();
    const expected = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(expected);
    expect({ sha256, isWhole, type: file.type }).toEqual({
      ...{ sha256: sumOf(expected), isWhole: true },
      type: 'application/octet-stream',
    });
  });

  test('a receiver refuses more bytes than announced, and detects missing bytes', async () => {
    const receiver = new FileReceiver(OFFER);
    expect(receiver.take(new Uint8Array(11))).toBe(false);
    expect(receiver.take(new Uint8Array(9))).toBe(true);
    expect((await receiver.finish()).isWhole).toBe(false);
  });
});
