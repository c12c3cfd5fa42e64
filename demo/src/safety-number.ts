// Implements the safety number: digits that both users compare to detect an interception. docs/key-exchange.md.
// A session that was verified by its code needs none.
import { CoupletError, exchangeKeys, type PeerSession } from '@couplet/client';
import { byId } from './dom.js';
import { wordsFor } from './error-words.js';
import { markUnread } from './tabs.js';

const HOW =
  'Press the button on both devices, then compare the digits over the phone or face to face.';

export function startSafetyNumber(
  session: PeerSession,
  signal: AbortSignal,
  onCompared: (areEqual: boolean) => void,
): void {
  const [button, number, note, answers] = [
    byId('compare', 'button'),
    byId('safety-number', 'p'),
    byId('safety-note', 'p'),
    byId('safety-answers', 'div'),
  ];
  /** Makes the pairing verified, once the digits are shown. */
  let confirm = () => {};
  const show = (text: string, digits = '') => {
    number.textContent = digits;
    note.textContent = text;
    answers.hidden = digits === '';
    button.hidden = session.trust !== 'none' || digits !== '';
    byId('safety', 'section').hidden = session.trust === 'code' || session.trust === 'saved';
    // Otherwise a button that is now hidden would lose the keyboard focus to the start of the page.
    if (document.activeElement?.closest('#safety [hidden]')) byId('safety-title', 'h2').focus();
  };
  const reset = () => {
    button.ariaDisabled = null;
    show(HOW);
  };
  // A safety number is only valid for one connection.
  session.on('peer', reset);
  session.on('peer-left', reset);
  session.on('key-message', () => {
    if (button.hidden || button.ariaDisabled === 'true') return;
    note.textContent = 'The other device wants to compare. Press the button here too.';
    markUnread('connection', 'The other device wants to compare safety numbers');
  });
  reset();

  // Started only by the user, because each attempt gives an attacker another chance.
  const compare = async () => {
    if (button.ariaDisabled === 'true') return;
    button.ariaDisabled = 'true';
    show('Waiting for the button on the other device.');
    try {
      const exchanged = await exchangeKeys(session, { signal });
      confirm = exchanged.confirm;
      show('Compare these digits with those on the other device.', exchanged.sas);
    } catch (error) {
      if (signal.aborted) return;
      show(safetyWords(error));
    }
    button.ariaDisabled = null;
  };
  button.addEventListener('click', () => void compare(), { signal });
  const answer = (areEqual: boolean) => {
    if (areEqual) {
      confirm();
      show('You compared the digits. Answer on the other device too.');
    }
    onCompared(areEqual);
  };
  byId('safety-same', 'button').addEventListener('click', () => answer(true), { signal });
  byId('safety-different', 'button').addEventListener('click', () => answer(false), { signal });
}

const safetyWords = (error: unknown): string =>
  error instanceof CoupletError && error.code === 'unsupported'
    ? 'Browsers provide the cryptography for this only on pages over https, or from localhost.'
    : wordsFor(error);
