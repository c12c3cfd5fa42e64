// Puts one file together from its chunks, never more than was announced.
import type { FileOffer } from './file-frames.js';
import { Sha256 } from './sha256.js';

/** Chunks are handed to the browser this many bytes at a time: it may keep a Blob on disk, an array only in memory. */
const FOLD_BYTES = 8 * 1024 * 1024;

export class FileReceiver {
  readonly offer: FileOffer;
  readonly #sum = new Sha256();
  readonly #folded: Blob[] = [];
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #waitingBytes = 0;
  #bytes = 0;

  constructor(offer: FileOffer) {
    this.offer = offer;
  }

  get receivedBytes(): number {
    return this.#bytes;
  }

  /** Takes the next chunk; returns false for one that is more than was announced. */
  take(chunk: Uint8Array<ArrayBuffer>): boolean {
    if (this.#bytes + chunk.length > this.offer.size) return false;
    this.#sum.update(chunk);
    this.#bytes += chunk.length;
    this.#waitingBytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#waitingBytes >= FOLD_BYTES) this.#fold();
    return true;
  }

  /** Resolves to the file, and the sum of what came. Rejects if the browser could not keep it: memory or disk is full. */
  async finish(): Promise<{ file: Blob; sha256: string; isWhole: boolean }> {
    this.#fold();
    // Not of the sender's type: a page that it made must not run with our rights where someone opens it.
    const file = new Blob(this.#folded, { type: 'application/octet-stream' });
    // A Blob that did not fit is made without an error, and cannot be read.
    await file.slice(-1).arrayBuffer();
    return { file, sha256: this.#sum.hex(), isWhole: this.#bytes === this.offer.size };
  }

  #fold(): void {
    this.#folded.push(new Blob(this.#chunks));
    this.#chunks = [];
    this.#waitingBytes = 0;
  }
}
