// Implements the files tab: sends files that are chosen, dropped or pasted, and lists sent and received files.
import type { PeerSession } from '@couplet/client';
import { byId, showProblem } from './dom.js';
import { decodeFrame, encodeFrame } from './file-frames.js';
import { IncomingFiles } from './incoming-files.js';
import { OutgoingFiles } from './outgoing-files.js';
import { markUnread, selectTab } from './tabs.js';
import type { TransferRow } from './transfer-row.js';

export function startFiles(session: PeerSession, signal: AbortSignal): void {
  const list = byId('transfers', 'ul');
  list.replaceChildren();
  const show = (row: TransferRow) => list.prepend(row.element);
  const outgoing = new OutgoingFiles(session, show);
  const incoming = new IncomingFiles({
    send(frame) {
      if (session.state === 'connected') session.send(encodeFrame(frame));
    },
    show(row) {
      show(row);
      markUnread('files', 'New file');
    },
  });
  session.on('message', (data) => {
    const frame = typeof data === 'string' ? undefined : decodeFrame(data);
    if (frame?.kind === 'received' || frame?.kind === 'refused') outgoing.take(frame);
    else if (frame) incoming.take(frame);
  });
  const interrupt = () => {
    outgoing.interrupt();
    incoming.interrupt();
  };
  session.on('peer', interrupt);
  session.on('peer-left', interrupt);
  signal.addEventListener('abort', () => {
    interrupt();
    incoming.close();
  });
  takeFiles((file) => outgoing.add(file), signal);
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
