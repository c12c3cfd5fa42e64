// Shows a session: its state, whether its peer is verified, and its panels.
import type { PeerSession, SessionTrust } from '@couplet/client';
import { watchAbsence } from './absence.js';
import { startCall } from './call.js';
import { startChat } from './chat.js';
import { PATH_WORDS, STATE_WORDS, startConnectionPanel } from './connection-panel.js';
import { exchangeNames, nameOf, UNNAMED } from './device-name.js';
import { byId } from './dom.js';
import { startFiles } from './files.js';
import { startNotifications } from './notifications.js';
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

const ABSENCE_WORDS = {
  left: 'left this session. To connect again, create a new invite.',
  lost: 'is not there. Its page was closed, or it is offline. This session continues when it is back.',
};

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
  const title = byId('session-title', 'h1');
  title.textContent = UNNAMED;
  byId('fact-name', 'dd').textContent = nameOf(session.save().deviceId);
  exchangeNames(session, (name) => {
    title.textContent = name;
  });
  watchAbsence(session, signal, (absence) => {
    byId('absence', 'div').hidden = absence === undefined;
    if (absence === undefined) return show();
    badge.dataset.state = 'absent';
    badge.textContent = 'Not connected';
    byId('absence-text', 'p').textContent = `${title.textContent} ${ABSENCE_WORDS[absence]}`;
  });
  const trust = byId('trust', 'details');
  trust.open = false;
  // It is closed when it loses the focus, because it covers the text below it.
  byId('trust-word', 'summary').addEventListener(
    'blur',
    () => {
      trust.open = false;
    },
    { signal },
  );
  selectTab('chat');
  startChat(session, signal);
  startFiles(session, signal);
  startCall(session, signal);
  startConnectionPanel(session, signal);
  startNotifications(session, signal);
  startSafetyNumber(session, signal, (areEqual) => {
    onCompared(areEqual);
    show();
  });
  session.on('path', show);
}
