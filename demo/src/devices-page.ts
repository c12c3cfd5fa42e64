// Controls the page "Two devices": invite, join, resume after a reload, leave, forget. Only one of them runs at once.
import {
  CoupletError,
  type CoupletErrorCode,
  type PeerSession,
  type SavedSession,
  type SessionOptions,
} from '@couplet/client';
import { type Absence, watchAbsence } from './absence.js';
import { type AlarmName, alarmOf, showAlarm } from './alarm-view.js';
import {
  forgetDevice,
  JOIN_CODE_DIGITS,
  mayHaveSession,
  savedSession,
  saveSession,
  thisDevice,
} from './device.js';
import { announce, byId, hideProblem, showProblem, showView } from './dom.js';
import { inviteWordsFor, isCancel, joinWordsFor, wordsFor } from './error-words.js';
import { createInvite } from './invite-view.js';
import { codeIn, VERIFIED_DIGITS } from './join-code.js';
import { startSessionView, trustWord } from './session-view.js';

/** Errors after which a session stays open. */
const PASSING_ERRORS: readonly CoupletErrorCode[] = [
  'negotiation_failed',
  'message_too_big',
  'messages_lost',
  'not_delivered',
];

const ABSENCE_WORDS = {
  left: 'The other device left. If it does not come back, create a new invite.',
  lost: 'The other device is not there. Its page was closed, or it is offline. This page connects when it is back.',
};

/** Errors that the user can correct in the field of the code. */
const CODE_ERRORS: readonly CoupletErrorCode[] = [
  'code_mistyped',
  'code_mismatch',
  'conflict',
  'invalid_client2',
  'invalid_joinid',
  'not_found_or_expired',
];

export class DevicesPage {
  /** Aborts the current action. */
  #current = new AbortController();
  #session: PeerSession | undefined;
  /** The pairing that an alarm ended. */
  #alarmed: SavedSession | undefined;

  constructor() {
    const on = (id: string, listener: () => void) =>
      byId(id, 'button').addEventListener('click', listener);
    on('make-invite', () => void this.#invite());
    on('make-verified', () => void this.#invite(true));
    on('make-plain', () => void this.#invite(false));
    on('cancel-invite', () => this.#toStart());
    on('waiting-cancel', () => this.#leave());
    on('leave', () => this.#leave());
    on('alarm-leave', () => this.#leave());
    on('alarm-resume', () => void this.#resume(this.#alarmed));
    on('alarm-invite', () => void this.#invite());
    for (const id of ['waiting-invite', 'absence-invite']) {
      on(id, () => {
        void saveSession(undefined);
        void this.#invite();
      });
    }
    on('forget', () => void this.#forget());
    on('problem-close', hideProblem);
    byId('join-form', 'form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#joinTyped();
    });
  }

  /** Opens the page: accepts the code of a link, resumes the pairing from before a reload, or shows the start. */
  open(code: string | undefined): void {
    if (code !== undefined) void this.join(code);
    else if (mayHaveSession()) void this.#resume();
    else this.#toStart();
  }

  /** Accepts a code, unless there is a session. */
  async join(code: string): Promise<void> {
    if (this.#session) {
      showProblem('Leave this session first, then open the link again.');
      return;
    }
    const connect = async (options: Required<SessionOptions>) =>
      (await thisDevice()).accept(code, options);
    await this.#run('Connecting to the other device.', connect, joinWordsFor);
  }

  #joinTyped(): void {
    const code = codeIn(byId('join-code', 'input').value, JOIN_CODE_DIGITS);
    if (code === undefined) {
      showCodeFault(
        `A code has ${JOIN_CODE_DIGITS + VERIFIED_DIGITS} or ${JOIN_CODE_DIGITS} digits.`,
      );
    } else void this.join(code);
  }

  async #invite(verify?: boolean): Promise<void> {
    const connect = async (options: Required<SessionOptions>) => {
      const invite = await createInvite(await thisDevice(), options, verify);
      showView('invite');
      return invite.accepted;
    };
    await this.#run('Creating a code.', connect, inviteWordsFor);
  }

  async #resume(known?: SavedSession): Promise<void> {
    await this.#run('Connecting to the other device. Its page must be open.', async (options) => {
      const saved = known ?? (await savedSession());
      // This is a duplicated tab: the session continues in the original tab.
      if (saved === undefined) throw new CoupletError('aborted');
      return (await thisDevice()).resume(saved, options);
    });
  }

  /** Waits for a session and shows it. If that fails, shows the reason and returns to the start. */
  async #run(
    waitingFor: string,
    connect: (options: Required<SessionOptions>) => Promise<PeerSession>,
    words = wordsFor,
  ): Promise<void> {
    this.#end();
    hideProblem();
    showCodeFault('');
    byId('waiting-text', 'p').textContent = waitingFor;
    byId('waiting-invite', 'button').hidden = true;
    showView('waiting');
    const current = this.#current;
    const { signal } = current;
    try {
      const session = await connect({ signal, onSession: (made) => this.#follow(made, current) });
      if (signal.aborted) return;
      await saveSession(session.save());
      byId('join-code', 'input').value = '';
      showView('session');
      announce(`Connected. ${trustWord(session)}.`);
    } catch (error) {
      if (signal.aborted) return;
      // The server no longer has this pairing, so it cannot be resumed.
      if (error instanceof CoupletError && error.code === 'forbidden') void saveSession(undefined);
      this.#toStart(error, words);
    }
  }

  #follow(session: PeerSession, current: AbortController): void {
    this.#session = session;
    startSessionView(session, current.signal, (areEqual) => {
      if (areEqual) void saveSession(session.save());
      else this.#alarm('different_digits');
    });
    let isNotified = false;
    let absence: Absence | undefined;
    const explain = () => {
      byId('waiting-invite', 'button').hidden = absence === undefined;
      if (!absence && !isNotified) return;
      const words = absence ? ABSENCE_WORDS[absence] : 'The other device is not there.';
      byId('waiting-text', 'p').textContent = isNotified
        ? `${words} It was sent a notification.`
        : words;
    };
    watchAbsence(session, current.signal, (now) => {
      absence = now;
      explain();
    });
    session.on('server-message', ({ type }) => {
      isNotified ||= type === 'peer_notified';
      explain();
    });
    session.on('error', (error) => {
      // After these errors the session stays open: the next exchange of descriptions may succeed.
      if (session.state !== 'closed' && PASSING_ERRORS.includes(error.code)) {
        return showProblem(wordsFor(error));
      }
      if (current !== this.#current) return;
      const alarm = alarmOf(error);
      if (alarm === undefined) return this.#toStart(error);
      this.#alarmed = session.save();
      this.#alarm(alarm);
    });
  }

  /** Ends the session with an alarm. Only the user can connect again; a reload does not. */
  #alarm(name: AlarmName): void {
    this.#end();
    hideProblem();
    byId('join-code', 'input').value = '';
    void saveSession(undefined);
    showAlarm(name);
  }

  #leave(): void {
    void saveSession(undefined);
    this.#toStart();
  }

  async #forget(): Promise<void> {
    this.#end();
    try {
      await forgetDevice();
      this.#toStart();
      announce('This device is forgotten.');
    } catch (error) {
      this.#toStart(error);
    }
  }

  #toStart(error?: unknown, words = wordsFor): void {
    this.#end();
    showView('start');
    if (error === undefined) hideProblem();
    else if (words === joinWordsFor && hasTyped() && isCodeError(error))
      showCodeFault(words(error));
    else if (!isCancel(error)) showProblem(words(error));
  }

  #end(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#current.abort();
    this.#current = new AbortController();
  }
}

const hasTyped = () => byId('join-code', 'input').value !== '';

const isCodeError = (error: unknown) =>
  error instanceof CoupletError && CODE_ERRORS.includes(error.code);

/** Shows what is wrong with the typed code, which stays in its field; empty if nothing is. */
function showCodeFault(text: string): void {
  const input = byId('join-code', 'input');
  byId('join-error', 'p').textContent = text;
  input.ariaInvalid = text === '' ? null : 'true';
  if (text !== '') input.focus();
}
