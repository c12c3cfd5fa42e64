// Provides a React hook for one session, which closes when the component unmounts.
import { Couplet, CoupletError, type PeerSession, type SessionPath } from '@couplet/client';
import { type RefObject, useEffect, useReducer, useRef } from 'react';

export interface Message {
  from: 'me' | 'peer';
  text: string;
}

export interface Pairing {
  /** `idle` before and after, `pairing` until the peer joins, then the state of the session. */
  state: 'idle' | 'pairing' | 'connecting' | 'connected' | 'reconnecting';
  /** The join code to show to the peer's user after `invite`. */
  code?: string;
  path?: SessionPath;
  messages: readonly Message[];
  /** The error that ended the last pairing or attempt. */
  error?: CoupletError;
}

export interface UseCouplet extends Pairing {
  /** Creates a code and waits for the peer. */
  invite(): void;
  /** Accepts the code that the peer shows. */
  accept(code: string): void;
  send(text: string): void;
  /** Leaves the session, or stops waiting. */
  close(): void;
}

const IDLE: Pairing = { state: 'idle', messages: [] };

/** The current attempt to pair, and then its session. */
interface Current {
  cancelling: AbortController;
  session?: PeerSession;
}

type CurrentRef = RefObject<Current | undefined>;

export function useCouplet(url: string): UseCouplet {
  const [pairing, change] = useReducer(
    (before: Pairing, step: (before: Pairing) => Pairing) => step(before),
    IDLE,
  );
  const current: CurrentRef = useRef(undefined);
  // StrictMode unmounts once after the first mount. There is no pairing yet, because it begins with a click.
  useEffect(() => () => end(current), []);

  const patch = (part: Partial<Pairing>) => change((before) => ({ ...before, ...part }));
  const add = (message: Message) =>
    change((before) => ({ ...before, messages: [...before.messages, message] }));

  /** Ends the previous pairing and begins a new one. Its results are ignored once another pairing has replaced it. */
  const begin = async (
    pair: (couplet: Couplet, signal: AbortSignal) => Promise<PeerSession>,
  ): Promise<void> => {
    end(current);
    const mine: Current = { cancelling: new AbortController() };
    current.current = mine;
    change(() => ({ ...IDLE, state: 'pairing' }));
    try {
      const session = await pair(new Couplet({ url }), mine.cancelling.signal);
      if (current.current !== mine) return session.close();
      mine.session = session;
      session.on('state', (state) => {
        if (state === 'closed') change(({ messages, error }) => ({ ...IDLE, messages, error }));
        else patch({ state });
      });
      session.on('path', (path) => patch({ path }));
      session.on('error', (error) => patch({ error }));
      session.on('message', (data) => {
        if (typeof data === 'string') add({ from: 'peer', text: data });
      });
      change(() => ({ ...IDLE, state: 'connected', path: session.path }));
    } catch (error) {
      if (current.current !== mine || !(error instanceof CoupletError)) return;
      change(() => ({ ...IDLE, error }));
    }
  };

  return {
    ...pairing,
    invite: () =>
      void begin(async (couplet, signal) => {
        const { code, accepted } = await couplet.invite({ signal });
        if (!signal.aborted) patch({ code });
        return accepted;
      }),
    accept: (code) => void begin((couplet, signal) => couplet.accept(code, { signal })),
    send: (text) => {
      current.current?.session?.send(text);
      add({ from: 'me', text });
    },
    close: () => {
      end(current);
      change(({ messages }) => ({ ...IDLE, messages }));
    },
  };
}

/** Ends the current pairing, if any. */
function end(current: CurrentRef): void {
  current.current?.cancelling.abort();
  current.current?.session?.close();
  current.current = undefined;
}
