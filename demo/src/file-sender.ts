// Sends a file in chunks with backpressure, and computes its checksum.
import type { PeerSession } from '@couplet/client';
import { CHUNK_BYTES, encodeFrame } from './file-frames.js';
import { Sha256 } from './sha256.js';

/** Bytes per read. A read of many chunks takes about as long as a read of one. */
const READ_BYTES = 16 * CHUNK_BYTES;

/**
 * Resolves to the SHA-256 of the sent bytes. A file that cannot be read at all is not offered.
 *
 * @throws the errors of `drained` and `send`, the reason of the signal, or any other error if the file cannot be read to
 * its end
 */
export async function sendFile(
  session: Pick<PeerSession, 'send' | 'drained'>,
  id: number,
  file: File,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (sentBytes: number) => void },
): Promise<string> {
  const { name, size, type: mediaType } = file;
  const sum = new Sha256();
  const read = async (from: number) => {
    const reading = file.slice(from, from + READ_BYTES).arrayBuffer();
    const piece = new Uint8Array(await unlessAborted(reading, signal));
    // Some browsers do not reject if the file has become shorter.
    if (piece.length < Math.min(READ_BYTES, size - from)) throw new Error('the file ends early');
    return piece;
  };
  let piece = await read(0);
  session.send(encodeFrame({ kind: 'offer', id, name, size, mediaType }));
  for (let from = 0; from < size; from += READ_BYTES) {
    if (from > 0) piece = await read(from);
    sum.update(piece);
    for (let at = 0; at < piece.length; at += CHUNK_BYTES) {
      await session.drained(signal);
      signal.throwIfAborted();
      const bytes = piece.subarray(at, at + CHUNK_BYTES);
      session.send(encodeFrame({ kind: 'chunk', id, bytes }));
      onProgress(from + at + bytes.length);
    }
  }
  const sha256 = sum.hex();
  session.send(encodeFrame({ kind: 'end', id, sha256 }));
  return sha256;
}

/** Stops waiting when the signal is aborted. A read may never end, for example from a disconnected network drive. */
function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
