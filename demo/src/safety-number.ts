// The safety number: digits that both users compare, to know that nobody sits between their devices. docs/key-exchange.md.
import { CoupletError, exchangeKeys, type PeerSession } from '@couplet/client';
import { byId } from './dom.js';
import { wordsFor } from './error-words.js';
import { markNews } from './tabs.js';

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
  // A number vouches for one connection only.
  session.on('peer', reset);
  session.on('peer-left', reset);
  session.on('key-message', () => {
    if (button.ariaDisabled === 'true' || number.textContent !== '') return;
    note.textContent = 'The other device wants to compare. Press the button here, too.';
    markNews('connection', 'The other device wants to compare safety numbers');
  });
  reset();

  // Only by the user's wish: whoever sits in between would be glad of every attempt.
  const compare = async () => {
    if (button.ariaDisabled === 'true') return;
    button.ariaDisabled = 'true';
    number.textContent = '';
    note.textContent = 'Waiting for the button on the other device.';
    try {
      const { sas } = await exchangeKeys(session, { signal });
      number.textContent = sas;
      note.textContent =
        'The same digits on both screens: nobody sits in between, and no other device can take this session over. Other digits: leave this session.';
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
    ? 'Browsers have the arithmetic for this only on pages over https, or from localhost.'
    : wordsFor(error);
