// The files tab: what is chosen, dropped or pasted goes out, what comes in is listed with it.
import type { PeerSession } from '@couplet/client';
import { byId } from './dom.js';
import { decodeFrame, encodeFrame } from './file-frames.js';
import { IncomingFiles } from './incoming-files.js';
import { OutgoingFiles } from './outgoing-files.js';
import { markNews, selectTab } from './tabs.js';
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
      markNews('files', 'New file');
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

/** From the picker, by drag and drop anywhere on the page, and by pasting. */
function takeFiles(add: (file: File) => void, signal: AbortSignal): void {
  const [input, zone] = [byId('file-input', 'input'), byId('drop-zone', 'div')];
  const addAll = (files: FileList | null | undefined) => {
    if (!files?.length) return;
    selectTab('files');
    for (const file of files) add(file);
  };
  byId('choose-files', 'button').addEventListener('click', () => input.click(), { signal });
  input.addEventListener(
    'change',
    () => {
      addAll(input.files);
      // The same file may be chosen again.
      input.value = '';
    },
    { signal },
  );
  document.addEventListener('paste', (event) => addAll(event.clipboardData?.files), { signal });
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
      addAll(event.dataTransfer?.files);
    },
    { signal },
  );
}
