// A session on the page: its panels, its state above them, and the end of it all.
import type { PeerSession } from '@couplet/client';
import { startCall } from './call.js';
import { startChat } from './chat.js';
import { PATH_WORDS, STATE_WORDS, startConnectionPanel } from './connection-panel.js';
import { byId } from './dom.js';
import { startFiles } from './files.js';
import { startSafetyNumber } from './safety-number.js';
import { selectTab } from './tabs.js';

/** Listens from the first moment on, so that nothing of the session is missed; the abort of the signal ends it. */
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
