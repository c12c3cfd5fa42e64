// The chat: a text is a message, as in the five lines of the client's README, so this page talks to any other client too.
import type { PeerSession } from '@couplet/client';
import { byId, make, showProblem } from './dom.js';
import { wordsFor } from './error-words.js';
import { markNews } from './tabs.js';

/** Messages kept on the page; a peer cannot fill its memory. */
const MAX_MESSAGES = 500;

export function startChat(session: PeerSession, signal: AbortSignal): void {
  const [log, form, input] = [
    byId('chat-log', 'div'),
    byId('chat-form', 'form'),
    byId('chat-text', 'input'),
  ];
  log.replaceChildren(make('p', 'empty', 'No messages yet. What you write here passes no server.'));

  const add = (kind: 'mine' | 'theirs' | 'note', text: string) => {
    log.querySelector('.empty')?.remove();
    const who = { mine: 'You: ', theirs: 'Other device: ', note: '' }[kind];
    const message = make('p', `message ${kind}`, make('span', 'visually-hidden', who), text);
    log.append(message);
    while (log.childElementCount > MAX_MESSAGES) log.firstElementChild?.remove();
    log.scrollTop = log.scrollHeight;
    return message;
  };

  form.addEventListener(
    'submit',
    (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (text === '') return;
      try {
        session.send(text);
      } catch (error) {
        // The text stays in the field, to be sent again.
        return showProblem(wordsFor(error));
      }
      add('mine', text);
      input.value = '';
      input.focus();
    },
    { signal },
  );
  // What came while another tab was looked at could not be scrolled to: a hidden log has no size until it is shown.
  const shown = new ResizeObserver(() => {
    log.scrollTop = log.scrollHeight;
  });
  shown.observe(log);
  signal.addEventListener('abort', () => shown.disconnect());
  session.on('message', (data) => {
    if (typeof data !== 'string') return;
    add('theirs', data);
    markNews('chat', 'New message');
  });
  let lost: HTMLElement | undefined;
  session.on('peer-left', () => {
    // The end of the channel may come before the word that it was meant.
    lost?.remove();
    add('note', 'The other device left.');
  });
  session.on('state', (state) => {
    lost =
      state === 'reconnecting' ? add('note', 'Connection lost; looking for another way.') : lost;
    if (state !== 'connected') return;
    lost = undefined;
    add('note', 'Connected.');
  });
}
