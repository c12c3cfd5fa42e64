// Implements the files tab: sends files that are chosen, dropped or pasted, and lists sent and received files.
import type { PeerSession } from '@couplet/client';
import { byId, showProblem } from './dom.js';
import { startIncomingFiles } from './incoming-files.js';
import { outgoingFiles } from './outgoing-files.js';
import { markUnread, selectTab } from './tabs.js';
import type { TransferRow } from './transfer-row.js';

export function startFiles(session: PeerSession, signal: AbortSignal): void {
  const list = byId('transfers', 'ul');
  list.replaceChildren();
  const show = (row: TransferRow) => list.prepend(row.element);
  startIncomingFiles(session, signal, (row) => {
    show(row);
    markUnread('files', 'New file');
  });
  session.on('message', (data) => {
    if (typeof data !== 'string') refuseEarlierPage(session, new Uint8Array(data));
  });
  takeFiles(outgoingFiles(session, show), signal);
}

/**
 * Refuses a file of an earlier version of this page, which sent files as binary messages: a byte for the kind, four for the id
 * of the file. Kind 0 is an offer, and 5 is a refusal.
 */
function refuseEarlierPage(session: PeerSession, [kind, ...rest]: Uint8Array): void {
  if (kind !== 0) return;
  try {
    session.send(Uint8Array.of(5, ...rest.slice(0, 4)));
  } catch {
    // The connection is lost, which ends the transfer there too.
  }
  showProblem(
    'The other device has an earlier version of this page. Reload the page there, then send the file again.',
  );
}

/** Accepts files from the picker, by drag and drop anywhere on the page, and by pasting. */
function takeFiles(add: (file: File) => void, signal: AbortSignal): void {
  const [input, zone] = [byId('file-input', 'input'), byId('drop-zone', 'div')];
  const addAll = (files: FileList | readonly File[] | null) => {
    if (!files?.length) return;
    selectTab('files');
    for (const file of files) add(file);
  };
  const addTransferred = (data: DataTransfer | null) => {
    const items = [...(data?.items ?? [])].filter(({ kind }) => kind === 'file');
    // Browsers present a folder as a file that is empty or cannot be read.
    const files = items.filter((item) => !item.webkitGetAsEntry()?.isDirectory);
    addAll(files.flatMap((item) => item.getAsFile() ?? []));
    if (files.length < items.length) {
      showProblem('A folder cannot be sent. Send the files in it, or a ZIP archive.');
    }
  };
  byId('choose-files', 'button').addEventListener('click', () => input.click(), { signal });
  input.addEventListener(
    'change',
    () => {
      addAll(input.files);
      // Reset, so that the same file can be chosen again.
      input.value = '';
    },
    { signal },
  );
  document.addEventListener('paste', (event) => addTransferred(event.clipboardData), { signal });
  document.addEventListener(
    'dragover',
    (event) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      zone.classList.add('over');
    },
    { signal },
  );
  document.addEventListener('dragleave', () => zone.classList.remove('over'), { signal });
  document.addEventListener(
    'drop',
    (event) => {
      event.preventDefault();
      zone.classList.remove('over');
      addTransferred(event.dataTransfer);
    },
    { signal },
  );
}
