// Assembles a file from its chunks, up to the announced size.
import type { FileOffer } from './file-frames.js';
import { Sha256 } from './sha256.js';

/** Chunks are moved into a Blob in steps of this many bytes. A browser can keep a Blob on disk, but an array only in memory. */
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

  /** Adds the next chunk. Returns false if it exceeds the announced size. */
  take(chunk: Uint8Array<ArrayBuffer>): boolean {
    if (this.#bytes + chunk.length > this.offer.size) return false;
    this.#sum.update(chunk);
    this.#bytes += chunk.length;
    this.#waitingBytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#waitingBytes >= FOLD_BYTES) this.#fold();
    return true;
  }

  /** Resolves to the file and its checksum. Rejects if the browser could not store it because memory or disk is full. */
  async finish(): Promise<{ file: Blob; sha256: string; isWhole: boolean }> {
    this.#fold();
    // Never the sender's type: an HTML file of the sender must not run in this origin when it is opened.
    const file = new Blob(this.#folded, { type: 'application/octet-stream' });
    // If there is no space, the constructor does not throw, but reading the Blob fails.
    await file.slice(-1).arrayBuffer();
    return { file, sha256: this.#sum.hex(), isWhole: this.#bytes === this.offer.size };
  }

  #fold(): void {
    this.#folded.push(new Blob(this.#chunks));
    this.#chunks = [];
    this.#waitingBytes = 0;
  }
}
