// Sends one file: read in pieces, never more in the channel than drains, summed up on the way.
import type { PeerSession } from '@couplet/client';
import { CHUNK_BYTES, encodeFrame } from './file-frames.js';
import { Sha256 } from './sha256.js';

/** Read at once: a read costs about the same for a chunk as for many. */
const READ_BYTES = 16 * CHUNK_BYTES;

/** Resolves to the SHA-256 of what was sent. Rejects with what `drained` and `send` reject with, and where the file cannot be read. */
export async function sendFile(
  session: Pick<PeerSession, 'send' | 'drained'>,
  id: number,
  file: File,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (sentBytes: number) => void },
): Promise<string> {
  const { name, size, type: mediaType } = file;
  const sum = new Sha256();
  session.send(encodeFrame({ kind: 'offer', id, name, size, mediaType }));
  for (let from = 0; from < size; from += READ_BYTES) {
    const piece = new Uint8Array(await file.slice(from, from + READ_BYTES).arrayBuffer());
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
