// Provides a React hook for one session, which closes when the component unmounts.
import {
  Couplet,
  CoupletError,
  type PeerSession,
  receiveFiles,
  type SessionPath,
  sendFile,
} from '@couplet/client';
import { type RefObject, useEffect, useReducer, useRef } from 'react';

export interface Message {
  from: 'me' | 'peer';
  text: string;
}

/** A file that is being transferred, or was. */
export interface Transfer {
  from: 'me' | 'peer';
  name: string;
  size: number;
  /** Bytes that have arrived. */
  bytes: number;
  /** The address of the content, once a file of the peer is complete. */
  url?: string;
  error?: CoupletError;
}

export interface Pairing {
  /** `idle` before and after, `pairing` until the peer joins, then the state of the session. */
  state: 'idle' | 'pairing' | 'connecting' | 'connected' | 'reconnecting';
  /** The join code to show to the peer's user after `invite`. */
  code?: string;
  /** The session, for further hooks, until it is closed. */
  session?: PeerSession;
  path?: SessionPath;
  messages: readonly Message[];
  /** The files of this session, by a number that increases. */
  files: Readonly<Record<number, Transfer>>;
  /** The latest error of this pairing, also after it has ended. */
  error?: CoupletError;
}

export interface UseCouplet extends Pairing {
  /** Creates a code and waits for the peer. */
  invite(): void;
  /** Accepts the code that the peer shows. */
  accept(code: string): void;
  send(text: string): void;
  sendFile(file: File): void;
  /** Leaves the session, or stops waiting. */
  close(): void;
}

/** Larger files of the peer are refused: this page keeps the content of files until the session ends. */
const MAX_FILE_BYTES = 1_000_000_000;

const IDLE: Pairing = { state: 'idle', messages: [], files: {} };

/** The current attempt to pair, and then its session. */
interface Current {
  cancelling: AbortController;
  session?: PeerSession;
  /** Addresses of received files, to be released. */
  urls: string[];
}

type CurrentRef = RefObject<Current | undefined>;

export function useCouplet(url: string): UseCouplet {
  const [pairing, change] = useReducer(
    (before: Pairing, step: (before: Pairing) => Pairing) => step(before),
    IDLE,
  );
  const current: CurrentRef = useRef(undefined);
  const nextId = useRef(0);
  // StrictMode unmounts once after the first mount. There is no pairing yet, because it begins with a click.
  useEffect(() => () => end(current), []);

  const patch = (part: Partial<Pairing>) => change((before) => ({ ...before, ...part }));
  const add = (message: Message) =>
    change((before) => ({ ...before, messages: [...before.messages, message] }));

  /** Shows a file while `run` transfers it. */
  const transfer = async (
    mine: Current,
    file: Pick<Transfer, 'from' | 'name' | 'size'>,
    run: (onProgress: (bytes: number) => void) => Promise<string | Blob>,
  ) => {
    const id = nextId.current++;
    const put = (part: Partial<Transfer>) => {
      if (current.current !== mine) return;
      change((before) => {
        const known = before.files[id] ?? { ...file, bytes: 0 };
        return { ...before, files: { ...before.files, [id]: { ...known, ...part } } };
      });
    };
    put({});
    try {
      const content = await run((bytes) => put({ bytes }));
      put({ bytes: file.size });
      if (typeof content === 'string' || current.current !== mine) return;
      const url = URL.createObjectURL(content);
      mine.urls.push(url);
      put({ url });
    } catch (error) {
      if (error instanceof CoupletError) put({ error });
    }
  };

  /** Ends the previous pairing and begins a new one. Its results are ignored once another pairing has replaced it. */
  const begin = async (
    pair: (couplet: Couplet, signal: AbortSignal) => Promise<PeerSession>,
  ): Promise<void> => {
    end(current);
    const mine: Current = { cancelling: new AbortController(), urls: [] };
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
      change(() => ({ ...IDLE, state: 'connected', path: session.path, session }));
      receiveFiles(session, (file) => {
        const { name, size } = file;
        if (size > MAX_FILE_BYTES) return file.cancel('file_too_large');
        void transfer(mine, { from: 'peer', name, size }, (onProgress) =>
          file.blob({ onProgress }),
        );
      });
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
      try {
        current.current?.session?.send(text);
        add({ from: 'me', text });
      } catch (error) {
        // The peer is absent at the moment, or the text is too long.
        if (error instanceof CoupletError) patch({ error });
      }
    },
    sendFile: (file) => {
      const mine = current.current;
      const session = mine?.session;
      if (!session) return;
      const { name, size } = file;
      void transfer(mine, { from: 'me', name, size }, (onProgress) =>
        sendFile(session, file, { onProgress }),
      );
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
  for (const url of current.current?.urls ?? []) URL.revokeObjectURL(url);
  current.current = undefined;
}
