// Sends files one after the other. A transfer ends when the peer confirms the checksum.
import { CoupletError, type PeerSession } from '@couplet/client';
import { encodeFrame, type FileFrame, MAX_FILE_BYTES, type RefusalReason } from './file-frames.js';
import { sendFile } from './file-sender.js';
import { type TransferRow, transferRow } from './transfer-row.js';

const REFUSALS: Readonly<Record<RefusalReason, string>> = {
  cancelled: 'Canceled by the other device.',
  too_large: 'Too large for the other device.',
  broken: 'Damaged in transit.',
};

interface Transfer {
  row: TransferRow;
  /** Aborts the sending. */
  stopping: AbortController;
  /** Set once the whole file is sent. */
  sha256?: string;
}

export class OutgoingFiles {
  readonly #session: PeerSession;
  readonly #show: (row: TransferRow) => void;
  readonly #open = new Map<number, Transfer>();
  #nextId = 1;
  /** Files are sent one by one. The total time is the same, but the first file arrives earlier. */
  #queue: Promise<void> = Promise.resolve();

  constructor(session: PeerSession, show: (row: TransferRow) => void) {
    this.#session = session;
    this.#show = show;
  }

  add(file: File): void {
    const id = this.#nextId++;
    const row = transferRow('sending', file, () => this.#cancel(id, 'Canceled.'));
    this.#show(row);
    if (file.size > MAX_FILE_BYTES) {
      row.failed('Larger than 1 GB, the limit of this page.');
      return;
    }
    const transfer = { row, stopping: new AbortController() };
    this.#open.set(id, transfer);
    this.#queue = this.#queue.then(() => this.#send(id, file, transfer));
  }

  take(frame: FileFrame): void {
    const transfer = this.#open.get(frame.id);
    if (transfer === undefined) return;
    if (frame.kind === 'refused') {
      this.#end(frame.id, REFUSALS[frame.reason]);
    } else if (frame.kind === 'received' && transfer.sha256 !== undefined) {
      this.#open.delete(frame.id);
      if (frame.sha256 === transfer.sha256) transfer.row.intact(frame.sha256);
      else transfer.row.failed('Damaged in transit: the checksums differ.');
    }
  }

  /** Fails all transfers, because the connection was lost together with the data in transit. */
  interrupt(): void {
    for (const id of [...this.#open.keys()]) this.#end(id, 'Interrupted. Send it again.');
  }

  async #send(id: number, file: File, transfer: Transfer): Promise<void> {
    const { signal } = transfer.stopping;
    if (signal.aborted) return;
    try {
      const onProgress = (sent: number) => transfer.row.progress(sent);
      transfer.sha256 = await sendFile(this.#session, id, file, { signal, onProgress });
      if (this.#open.has(id)) transfer.row.waiting();
    } catch (error) {
      const isInterrupted = error instanceof CoupletError;
      this.#cancel(id, isInterrupted ? 'Interrupted. Send it again.' : 'The file cannot be read.');
    }
  }

  /** Ends the transfer on both sides. */
  #cancel(id: number, words: string): void {
    if (!this.#open.has(id)) return;
    this.#end(id, words);
    try {
      this.#session.send(encodeFrame({ kind: 'cancelled', id }));
    } catch {
      // Not connected: the peer ends its side of the transfer when it detects the loss.
    }
  }

  #end(id: number, words: string): void {
    const transfer = this.#open.get(id);
    if (transfer === undefined) return;
    this.#open.delete(id);
    transfer.stopping.abort();
    transfer.row.failed(words);
  }
}
