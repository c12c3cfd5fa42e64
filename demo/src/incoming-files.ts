// Receives files, shows each in a row, and offers them for saving.
import { CoupletError, type IncomingFile, type PeerSession, receiveFiles } from '@couplet/client';
import { wordsFor } from './error-words.js';
import { INTERRUPTED, type TransferRow, transferRow } from './transfer-row.js';

/** Largest file. Received files stay in the browser until they are saved. */
export const MAX_FILE_BYTES = 1_000_000_000;

/** Limit for all files of a session. The page keeps received files until the tab is closed. */
const MAX_KEPT_BYTES = 2 * MAX_FILE_BYTES;
const MAX_FILES = 500;

/** Receives files until the signal is aborted, and then releases them. */
export function startIncomingFiles(
  session: PeerSession,
  signal: AbortSignal,
  show: (row: TransferRow) => void,
): void {
  const urls: string[] = [];
  let files = 0;
  let keptBytes = 0;

  const receive = async (file: IncomingFile) => {
    const { size } = file;
    if (size > MAX_FILE_BYTES || keptBytes + size > MAX_KEPT_BYTES || files >= MAX_FILES) {
      file.cancel('file_too_large');
      return;
    }
    files += 1;
    keptBytes += size;
    const row = transferRow('receiving', file, () => file.cancel());
    show(row);
    try {
      const blob = await file.blob({ onProgress: (bytes) => row.progress(bytes) });
      const url = URL.createObjectURL(blob);
      urls.push(url);
      row.intact(file.sha256 ?? '', url);
    } catch (error) {
      keptBytes -= size;
      row.failed(receivingWordsFor(error));
    }
  };
  const stop = receiveFiles(session, receive);
  signal.addEventListener('abort', () => {
    stop();
    for (const url of urls) URL.revokeObjectURL(url);
  });
}

function receivingWordsFor(error: unknown): string {
  switch (error instanceof CoupletError ? error.code : undefined) {
    case 'file_too_large':
      return 'Stopped: this browser has no space for the file.';
    case 'closed':
    case 'not_connected':
      return INTERRUPTED;
    default:
      return wordsFor(error);
  }
}
