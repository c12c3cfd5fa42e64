// Shows a session: its state and its panels.
import type { PeerSession } from '@couplet/client';
import { startCall } from './call.js';
import { startChat } from './chat.js';
import { PATH_WORDS, STATE_WORDS, startConnectionPanel } from './connection-panel.js';
import { byId } from './dom.js';
import { startFiles } from './files.js';
import { startSafetyNumber } from './safety-number.js';
import { selectTab } from './tabs.js';

/** Call it as soon as the session exists, so that no event is missed. Aborting the signal ends the view. */
export function startSessionView(session: PeerSession, signal: AbortSignal): void {
  selectTab('chat');
  startChat(session, signal);
  startFiles(session, signal);
  startCall(session, signal);
  startConnectionPanel(session, signal);
  startSafetyNumber(session, signal);
  const badge = byId('session-state', 'p');
  const show = () => {
    const { state, path } = session;
    badge.dataset.state = state;
    badge.textContent = state === 'connected' && path ? PATH_WORDS[path] : STATE_WORDS[state];
  };
  session.on('state', show);
  session.on('path', show);
  show();
}
