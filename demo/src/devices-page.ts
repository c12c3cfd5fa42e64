// Controls the page "Two devices": invite, join, resume after a reload, leave, forget. Only one of them runs at once.
import {
  CoupletError,
  type CoupletErrorCode,
  type PeerSession,
  type SavedSession,
  type SessionOptions,
} from '@couplet/client';
import {
  forgetDevice,
  JOIN_CODE_DIGITS,
  mayHaveSession,
  savedSession,
  saveSession,
  thisDevice,
} from './device.js';
import { announce, byId, hideProblem, showProblem, showView } from './dom.js';
import { inviteWordsFor, isCancel, wordsFor } from './error-words.js';
import { showInvite } from './invite-view.js';
import { codeIn, grouped } from './join-code.js';
import { startSessionView } from './session-view.js';

/** Errors after which a session stays open. */
const PASSING_ERRORS: readonly CoupletErrorCode[] = [
  'negotiation_failed',
  'message_too_big',
  'messages_lost',
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
    on('cancel-invite', () => this.#toStart());
    on('waiting-cancel', () => this.#leave());
    on('leave', () => this.#leave());
    on('alarm-leave', () => this.#leave());
    on('alarm-resume', () => void this.#resume(this.#alarmed));
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
    await this.#run(`Connecting with code ${grouped(code)}.`, async (options) =>
      (await thisDevice()).accept(code, options),
    );
  }

  #joinTyped(): void {
    const input = byId('join-code', 'input');
    const code = codeIn(input.value, JOIN_CODE_DIGITS);
    input.ariaInvalid = code === undefined ? 'true' : null;
    byId('join-error', 'p').textContent =
      code === undefined ? `A code has ${JOIN_CODE_DIGITS} digits.` : '';
    if (code === undefined) {
      input.focus();
    } else {
      input.value = '';
      void this.join(code);
    }
  }

  async #invite(): Promise<void> {
    const connect = async (options: Required<SessionOptions>) => {
      const invite = await (await thisDevice()).invite(options);
      showInvite(invite, options.signal);
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
    byId('waiting-text', 'p').textContent = waitingFor;
    showView('waiting');
    const current = this.#current;
    const { signal } = current;
    try {
      const session = await connect({ signal, onSession: (made) => this.#follow(made, current) });
      if (signal.aborted) return;
      await saveSession(session.save());
      showView('session');
      announce('Connected.');
    } catch (error) {
      if (signal.aborted) return;
      // The server no longer has this pairing, so it cannot be resumed.
      if (error instanceof CoupletError && error.code === 'forbidden') void saveSession(undefined);
      this.#toStart(error, words);
    }
  }

  #follow(session: PeerSession, current: AbortController): void {
    this.#session = session;
    startSessionView(session, current.signal);
    session.on('error', (error) => {
      // After these errors the session stays open: the next exchange of descriptions may succeed.
      if (session.state !== 'closed' && PASSING_ERRORS.includes(error.code)) {
        return showProblem(wordsFor(error));
      }
      if (current !== this.#current) return;
      if (error.code === 'peer_changed') this.#alarm(session.save());
      else this.#toStart(error);
    });
  }

  /** Shows that the peer is not the verified one. Only the user can connect again; a reload does not. */
  #alarm(saved: SavedSession): void {
    this.#end();
    hideProblem();
    void saveSession(undefined);
    this.#alarmed = saved;
    showView('alarm');
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
    else if (!isCancel(error)) showProblem(words(error));
  }

  #end(): void {
    this.#session?.close();
    this.#session = undefined;
    this.#current.abort();
    this.#current = new AbortController();
  }
}
