// Shows one file in the list: its name, progress and result.
import { safeFileName } from '@couplet/client';
import { announce, type IconName, icon, make } from './dom.js';
import { bytes } from './format.js';

/** The reason if the connection or the other device is gone. */
export const INTERRUPTED = 'Interrupted. Send it again.';

/** Shortest time between updates of the row, because updates slow the transfer down. */
const WRITE_EVERY_MS = 200;

/** The icons of files, by their extension. All other files have the icon of an empty sheet. */
const KINDS: readonly [IconName, RegExp][] = [
  ['image', /\.(avif|gif|heic|jpe?g|png|svg|tiff?|webp)$/i],
  ['audio', /\.(aac|flac|m4a|mp3|og[ga]|opus|wav)$/i],
  ['video', /\.(avi|m4v|mkv|mov|mp4|mpe?g|webm)$/i],
  ['archive', /\.(7z|bz2|gz|rar|tar|tgz|xz|zip)$/i],
  ['text', /\.(csv|docx?|html?|json|md|odt|pdf|rtf|txt|xlsx?)$/i],
];

export interface TransferRow {
  readonly element: HTMLLIElement;
  progress(doneBytes: number): void;
  /** The whole file is sent. The other side has not confirmed it yet. */
  waiting(): void;
  /** The file is complete on both sides. A received file can be saved from `url`. */
  intact(sha256: string, url?: string): void;
  failed(reason: string): void;
}

export function transferRow(
  direction: 'sending' | 'receiving',
  file: { name: string; size: number },
  onCancel: () => void,
): TransferRow {
  const { size } = file;
  const name = safeFileName(file.name);
  const bar = make('progress');
  bar.max = Math.max(size, 1);
  bar.value = 0;
  bar.setAttribute('aria-label', name);
  const detail = make(
    'div',
    'detail',
    `${direction === 'sending' ? 'Waiting to send' : 'Receiving'}, ${bytes(size)}`,
  );
  const cancel = make('button', 'quiet', 'Cancel');
  cancel.type = 'button';
  cancel.setAttribute('aria-label', `Cancel ${name}`);
  cancel.addEventListener('click', onCancel);
  const actions = make('div', 'actions', cancel);
  const [kind = 'file'] = KINDS.find(([, names]) => names.test(name)) ?? [];
  const element = make('li', '', icon(kind), make('p', 'name', name), actions, bar, detail);
  let startedAt: number | undefined;
  let writtenAt = 0;

  const end = (className: string, text: string) => {
    bar.remove();
    // Keep the focus in the document when the button is removed.
    const hadFocus = document.activeElement === cancel;
    actions.replaceChildren();
    detail.replaceChildren(make('span', className, text), ' ', make('span', 'size', bytes(size)));
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
      detail.textContent = 'Sent; the other device is comparing checksums';
    },
    intact(sha256, url) {
      end('intact', direction === 'sending' ? 'Arrived intact.' : 'Received intact.');
      if (url !== undefined) {
        const link = make('a', 'button', icon('save'), 'Save');
        link.href = url;
        link.download = name;
        link.setAttribute('aria-label', `Save ${name}`);
        actions.append(link);
      }
      detail.append(
        make(
          'details',
          'sum',
          make('summary', '', 'Verified'),
          `SHA-256 ${sha256}, equal on both devices`,
        ),
      );
    },
    failed(reason) {
      end('failed', reason);
    },
  };
}
