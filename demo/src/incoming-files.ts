// Receives files from the peer: limits, assembles and verifies them, and offers them for saving.
import { type FileFrame, MAX_FILE_BYTES, type RefusalReason } from './file-frames.js';
import { FileReceiver } from './file-receiver.js';
import { type TransferRow, transferRow } from './transfer-row.js';

/** Limit for all files of a session. The page keeps received files until the tab is closed. */
const MAX_KEPT_BYTES = 2 * MAX_FILE_BYTES;
const MAX_FILES = 500;

const NO_ROOM = 'Stopped: this browser has no space for the file.';

export interface IncomingDeps {
  send(frame: FileFrame): void;
  show(row: TransferRow): void;
}

interface Transfer {
  receiver: FileReceiver;
  row: TransferRow;
}

export class IncomingFiles {
  readonly #deps: IncomingDeps;
  readonly #open = new Map<number, Transfer>();
  readonly #urls: string[] = [];
  #files = 0;
  #keptBytes = 0;

  constructor(deps: IncomingDeps) {
    this.#deps = deps;
  }

  take(frame: FileFrame): void {
    const { id } = frame;
    const transfer = this.#open.get(id);
    if (frame.kind === 'offer') {
      if (transfer === undefined) this.#begin(frame);
    } else if (transfer === undefined) {
      // These frames were in transit when this side refused the file.
    } else if (frame.kind === 'chunk') {
      this.#takeChunk(id, transfer, frame.bytes);
    } else if (frame.kind === 'end') {
      void this.#finish(id, transfer, frame.sha256);
    } else if (frame.kind === 'cancelled') {
      this.#end(id, 'Canceled by the other device.');
    }
  }

  /** Fails all transfers, because the connection was lost together with the data in transit. */
  interrupt(): void {
    for (const id of [...this.#open.keys()]) this.#end(id, 'Interrupted. Send it again.');
  }

  /** Releases all files. */
  close(): void {
    this.#open.clear();
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
  }

  #begin({ id, name, size, mediaType }: Extract<FileFrame, { kind: 'offer' }>): void {
    const isTooMuch =
      size > MAX_FILE_BYTES || this.#keptBytes + size > MAX_KEPT_BYTES || this.#files >= MAX_FILES;
    if (isTooMuch) {
      this.#deps.send({ kind: 'refused', id, reason: 'too_large' });
      return;
    }
    this.#files += 1;
    this.#keptBytes += size;
    const row = transferRow('receiving', { name, size }, () =>
      this.#refuse(id, 'cancelled', 'Canceled.'),
    );
    this.#open.set(id, { receiver: new FileReceiver({ name, size, mediaType }), row });
    this.#deps.show(row);
  }

  #takeChunk(id: number, { receiver, row }: Transfer, bytes: Uint8Array<ArrayBuffer>): void {
    try {
      if (receiver.take(bytes)) row.progress(receiver.receivedBytes);
      else this.#refuse(id, 'broken', 'Stopped: more data arrived than announced.');
    } catch {
      this.#refuse(id, 'too_large', NO_ROOM);
    }
  }

  async #finish(id: number, transfer: Transfer, sha256: string): Promise<void> {
    const result = await transfer.receiver.finish().catch(() => undefined);
    // The transfer was canceled or interrupted during the await.
    if (this.#open.get(id) !== transfer) return;
    if (result === undefined) return this.#refuse(id, 'too_large', NO_ROOM);
    this.#deps.send({ kind: 'received', id, sha256: result.sha256 });
    if (!result.isWhole || result.sha256 !== sha256) {
      return this.#end(id, 'Damaged in transit: the checksums differ.');
    }
    this.#open.delete(id);
    const url = URL.createObjectURL(result.file);
    this.#urls.push(url);
    transfer.row.intact(sha256, url);
  }

  #refuse(id: number, reason: RefusalReason, words: string): void {
    this.#deps.send({ kind: 'refused', id, reason });
    this.#end(id, words);
  }

  #end(id: number, words: string): void {
    const transfer = this.#open.get(id);
    this.#open.delete(id);
    this.#keptBytes -= transfer?.receiver.offer.size ?? 0;
    transfer?.row.failed(words);
  }
}
