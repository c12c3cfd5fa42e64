// Shows a session: its state, whether its peer is verified, and its panels.
import type { PeerSession, SessionTrust } from '@couplet/client';
import { startCall } from './call.js';
import { startChat } from './chat.js';
import { PATH_WORDS, STATE_WORDS, startConnectionPanel } from './connection-panel.js';
import { byId } from './dom.js';
import { startFiles } from './files.js';
import { startSafetyNumber } from './safety-number.js';
import { selectTab } from './tabs.js';

const EXCEPT =
  'Nobody intercepts the connection, not even this server, unless it has changed this page.';

const TRUST_WORDS: Readonly<Record<SessionTrust, string>> = {
  code: `The two devices proved to each other that they have the same code or link. ${EXCEPT}`,
  saved: `The two devices proved to each other that they were verified when they were paired. ${EXCEPT}`,
  compared: `You compared the safety numbers of the two devices. ${EXCEPT}`,
  none: 'The server connected these two devices, and neither has verified the other.',
};

/** What the safety number adds to an unverified session, on this page. */
const TO_VERIFY = isSecureContext
  ? 'To check it, compare safety numbers under Connection.'
  : 'Browsers can check it only on pages over HTTPS.';

/** The word for the badge of a session. */
export const trustWord = ({ trust }: PeerSession): string =>
  trust === 'none' ? 'Not verified' : 'Verified';

/**
 * Call it as soon as the session exists, so that no event is missed. Aborting the signal ends the view.
 *
 * @param onCompared called when the user has compared safety numbers, with whether they are equal
 */
export function startSessionView(
  session: PeerSession,
  signal: AbortSignal,
  onCompared: (areEqual: boolean) => void,
): void {
  const badge = byId('session-state', 'p');
  const show = () => {
    const { state, path, trust } = session;
    badge.dataset.state = state;
    badge.textContent = state === 'connected' && path ? PATH_WORDS[path] : STATE_WORDS[state];
    byId('trust', 'details').dataset.trust = trust;
    byId('trust-word', 'summary').textContent = trustWord(session);
    byId('trust-text', 'p').textContent =
      TRUST_WORDS[trust] + (trust === 'none' ? ` ${TO_VERIFY}` : '');
  };
  byId('trust', 'details').open = false;
  selectTab('chat');
  startChat(session, signal);
  startFiles(session, signal);
  startCall(session, signal);
  startConnectionPanel(session, signal);
  startSafetyNumber(session, signal, (areEqual) => {
    onCompared(areEqual);
    show();
  });
  session.on('state', show);
  session.on('path', show);
  show();
}
