// Implements the chat. Each text is one message, as in the client's README, so other clients can chat with this page.
import type { PeerSession } from '@couplet/client';
import { peerName } from './device-name.js';
import { byId, make, showProblem } from './dom.js';
import { wordsFor } from './error-words.js';
import { markUnread } from './tabs.js';

/** Messages kept on the page. The limit prevents a peer from filling the memory. */
const MAX_MESSAGES = 500;

export function startChat(session: PeerSession, signal: AbortSignal): void {
  const [log, form, input] = [
    byId('chat-log', 'div'),
    byId('chat-form', 'form'),
    byId('chat-text', 'input'),
  ];
  log.replaceChildren(
    make('p', 'empty', 'No messages yet. Messages here do not pass through the server.'),
  );

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
        // The text stays in the field, so that the user can send it again.
        return showProblem(`Not delivered. ${wordsFor(error)}`);
      }
      add('mine', text);
      input.value = '';
      input.focus();
    },
    { signal },
  );
  // A hidden log has no size. Scroll to messages that arrived while another tab was selected once the log is shown.
  const shown = new ResizeObserver(() => {
    log.scrollTop = log.scrollHeight;
  });
  shown.observe(log);
  signal.addEventListener('abort', () => shown.disconnect());
  session.on('message', (data) => {
    if (typeof data !== 'string') return;
    add('theirs', data);
    markUnread('chat', 'New message');
  });
  let lost: HTMLElement | undefined;
  session.on('peer-left', () => {
    // The channel may close before `peer-left` arrives. Then the note "Connection lost" is wrong.
    lost?.remove();
    add('note', `${peerName()} left.`);
  });
  session.on('state', (state) => {
    lost = state === 'reconnecting' ? add('note', 'Connection lost; reconnecting.') : lost;
    if (state !== 'connected') return;
    lost = undefined;
    add('note', 'Connected.');
  });
}
