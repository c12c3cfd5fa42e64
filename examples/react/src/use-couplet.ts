// A pairing as a React hook: one session at a time, ended with the component that uses it.
import { Couplet, CoupletError, type PeerSession, type SessionPath } from '@couplet/client';
import { type RefObject, useEffect, useReducer, useRef } from 'react';

export interface Message {
  from: 'me' | 'peer';
  text: string;
}

export interface Pairing {
  /** `idle` before and after, `pairing` until the peer is there; then the state of the session. */
  state: 'idle' | 'pairing' | 'connecting' | 'connected' | 'reconnecting';
  /** To show to the peer's user, after `invite`. */
  code?: string;
  path?: SessionPath;
  messages: readonly Message[];
  /** Why the last pairing came to nothing, or to an end. */
  error?: CoupletError;
}

export interface UseCouplet extends Pairing {
  /** Makes a code, and waits for the peer. */
  invite(): void;
  /** Accepts the code that the peer shows. */
  accept(code: string): void;
  send(text: string): void;
  /** Leaves the session, or gives waiting up. */
  close(): void;
}

const IDLE: Pairing = { state: 'idle', messages: [] };

/** What is under way: waiting for a peer, then the session with it. */
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
  // StrictMode unmounts once for a try. A pairing begins with a click, so there is none then.
  useEffect(() => () => end(current), []);

  const patch = (part: Partial<Pairing>) => change((before) => ({ ...before, ...part }));
  const add = (message: Message) =>
    change((before) => ({ ...before, messages: [...before.messages, message] }));

  /** Ends what was, and begins a pairing. What it brings counts only while no other has taken its place. */
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

/** Ends what is under way, if anything is. */
function end(current: CurrentRef): void {
  current.current?.cancelling.abort();
  current.current?.session?.close();
  current.current = undefined;
}
