// Sends one file: read in pieces, never more in the channel than drains, summed up on the way.
import type { PeerSession } from '@couplet/client';
import { CHUNK_BYTES, encodeFrame } from './file-frames.js';
import { Sha256 } from './sha256.js';

/** Read at once: a read costs about the same for a chunk as for many. */
const READ_BYTES = 16 * CHUNK_BYTES;

/**
 * Resolves to the SHA-256 of what was sent. A file that cannot be read at all is not offered.
 *
 * @throws what `drained` and `send` throw, the reason of the signal, or an error of any other kind if the file cannot be
 * read, or not to the end
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
    // Not every browser rejects for a file that has become shorter.
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

/** A read may take for ever: of a file on a network drive that is away, for one. */
function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
