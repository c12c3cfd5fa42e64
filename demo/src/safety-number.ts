// Implements the safety number: digits that both users compare to detect an interception. docs/key-exchange.md.
import { CoupletError, exchangeKeys, type PeerSession } from '@couplet/client';
import { byId } from './dom.js';
import { wordsFor } from './error-words.js';
import { markUnread } from './tabs.js';

const HOW =
  'Press the button on both devices, then compare the digits over the phone or face to face.';

export function startSafetyNumber(session: PeerSession, signal: AbortSignal): void {
  const [button, number, note] = [
    byId('compare', 'button'),
    byId('safety-number', 'p'),
    byId('safety-note', 'p'),
  ];
  const reset = () => {
    number.textContent = '';
    note.textContent = HOW;
    button.ariaDisabled = null;
  };
  // A safety number is only valid for one connection.
  session.on('peer', reset);
  session.on('peer-left', reset);
  session.on('key-message', () => {
    if (button.ariaDisabled === 'true' || number.textContent !== '') return;
    note.textContent = 'The other device wants to compare. Press the button here too.';
    markUnread('connection', 'The other device wants to compare safety numbers');
  });
  reset();

  // Started only by the user, because each attempt gives an attacker another chance.
  const compare = async () => {
    if (button.ariaDisabled === 'true') return;
    button.ariaDisabled = 'true';
    number.textContent = '';
    note.textContent = 'Waiting for the button on the other device.';
    try {
      const { sas } = await exchangeKeys(session, { signal });
      number.textContent = sas;
      note.textContent =
        'Same digits on both screens: the connection is not intercepted, and no other device can take over this session. Different digits: leave this session.';
    } catch (error) {
      if (signal.aborted) return;
      note.textContent = safetyWords(error);
    }
    button.ariaDisabled = null;
  };
  button.addEventListener('click', () => void compare(), { signal });
}

const safetyWords = (error: unknown): string =>
  error instanceof CoupletError && error.code === 'unsupported'
    ? 'Browsers provide the cryptography for this only on pages over https, or from localhost.'
    : wordsFor(error);
