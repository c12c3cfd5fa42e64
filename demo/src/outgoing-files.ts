// Sends files one after the other, and shows each in a row.
import { CoupletError, type PeerSession, sendFile } from '@couplet/client';
import { wordsFor } from './error-words.js';
import { MAX_FILE_BYTES } from './incoming-files.js';
import { INTERRUPTED, type TransferRow, transferRow } from './transfer-row.js';

/** Returns a function that sends a file. */
export function outgoingFiles(
  session: PeerSession,
  show: (row: TransferRow) => void,
): (file: File) => void {
  // The total time is the same as for all at once, but the first file arrives earlier.
  let queue = Promise.resolve();
  return (file) => {
    const canceling = new AbortController();
    const { signal } = canceling;
    const row = transferRow('sending', file, () => {
      canceling.abort();
      row.failed('Canceled.');
    });
    show(row);
    if (file.size > MAX_FILE_BYTES) {
      row.failed('Larger than 1 GB, the limit of this page.');
      return;
    }
    const onProgress = (bytes: number) => {
      if (bytes < file.size) row.progress(bytes);
      else row.waiting();
    };
    queue = queue.then(async () => {
      try {
        row.intact(await sendFile(session, file, { signal, onProgress }));
      } catch (error) {
        if (!signal.aborted) row.failed(sendingWordsFor(error));
      }
    });
  };
}

function sendingWordsFor(error: unknown): string {
  const code = error instanceof CoupletError ? error.code : undefined;
  return code === 'closed' || code === 'not_connected' ? INTERRUPTED : wordsFor(error);
}
