// One file in the list: its name, how far it is, and how it ended.
import { announce, make } from './dom.js';
import { bytes } from './format.js';

/** Written at most this often: a screen shows no more, and every write costs the transfer time. */
const WRITE_EVERY_MS = 200;

export interface TransferRow {
  readonly element: HTMLLIElement;
  progress(doneBytes: number): void;
  /** Everything is sent, and the other side has not yet said what it got. */
  waiting(): void;
  /** The file is whole on both sides; a received one may be saved. */
  intact(sha256: string, file?: { url: string; name: string }): void;
  failed(reason: string): void;
}

export function transferRow(
  direction: 'sending' | 'receiving',
  { name, size }: { name: string; size: number },
  onCancel: () => void,
): TransferRow {
  const bar = make('progress');
  bar.max = Math.max(size, 1);
  bar.value = 0;
  bar.setAttribute('aria-label', name);
  const detail = make(
    'p',
    'detail',
    `${direction === 'sending' ? 'Waiting to send' : 'Receiving'}, ${bytes(size)}`,
  );
  const cancel = make('button', 'quiet', 'Cancel');
  cancel.type = 'button';
  cancel.setAttribute('aria-label', `Cancel ${name}`);
  cancel.addEventListener('click', onCancel);
  const actions = make('div', 'actions', cancel);
  const element = make('li', '', make('p', 'name', name), actions, bar, detail);
  let startedAt: number | undefined;
  let writtenAt = 0;

  const end = (className: string, text: string) => {
    bar.remove();
    // The focus must not fall out of the document with the button.
    const hadFocus = document.activeElement === cancel;
    actions.replaceChildren();
    detail.replaceChildren(make('span', className, text), ` ${bytes(size)}`);
    if (hadFocus) {
      element.tabIndex = -1;
      element.focus();
    }
    announce(`${name}: ${text}`);
  };

  return {
    element,
    progress(doneBytes) {
      const now = performance.now();
      startedAt ??= now;
      if (now - writtenAt < WRITE_EVERY_MS) return;
      writtenAt = now;
      bar.value = doneBytes;
      const seconds = (now - startedAt) / 1000;
      const speed = seconds > 0.5 ? `, ${bytes(doneBytes / seconds)}/s` : '';
      detail.textContent = `${bytes(doneBytes)} of ${bytes(size)}${speed}`;
    },
    waiting() {
      bar.value = bar.max;
      detail.textContent = 'Sent; the other device compares';
    },
    intact(sha256, file) {
      end('intact', direction === 'sending' ? 'Arrived intact.' : 'Received intact.');
      if (file) {
        const link = make('a', '', 'Save');
        link.href = file.url;
        link.download = file.name;
        link.setAttribute('aria-label', `Save ${file.name}`);
        actions.append(link);
      }
      element.append(make('p', 'sum', `SHA-256 ${sha256}`));
    },
    failed(reason) {
      end('failed', reason);
    },
  };
}
