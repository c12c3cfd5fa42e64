// End-to-end key exchange with a short authentication string, over the server's key_exchange messages. docs/key-exchange.md.
//
//   leader: sent     │ waits for        │ follower: sent │ waits for
//   commit           │ the other's key  │ hello          │ a commit
//   key, complete    │ a complete       │ key            │ the key committed to
//   (the same)       │ nothing: done    │ key, complete  │ a complete; then done
//
// Whatever was sent last is sent again when the peer can be reached again; who has seen it already ignores it.

import { CoupletError } from '../errors.js';
import { randomId } from '../pairing/pairing-client.js';
import { fingerprintsOf } from '../session/peer-identity.js';
import type { PeerSession } from '../session/peer-session.js';
import type { KeyMessage } from '../session/session-events.js';
import { CertificatePin } from './certificate-pin.js';
import {
  commitmentTo,
  type Derived,
  derive,
  type ExchangeContext,
  exportKey,
  generateKeys,
  KEY_EXCHANGE,
} from './key-derivation.js';

/** What the exchange has of a session. */
export type KeySession = Pick<PeerSession, 'on' | 'peer' | 'pin' | 'state' | 'save' | 'signal'>;

/** What an exchange of keys comes to. */
export interface ExchangedKeys {
  /** For both users to compare: nine digits in three groups. Equal on both screens: nobody is in between. */
  readonly sas: string;
  /** Shared with the peer alone, once the users have compared: HKDF, to derive others from; it cannot be exported. */
  readonly key: CryptoKey;
  /** The verified connection. Until it is closed, the session accepts no other certificate of the peer. */
  readonly peer: RTCPeerConnection;
}

/** The latest exchange of each session: a new one takes its place. */
const current = new WeakMap<KeySession, Exchange>();

/**
 * Exchanges keys with the peer, whose application calls this too, in whichever order. From then on the session is bound
 * to the peer's certificate: it never applies a description with another one, but ends with the error `peer_changed`.
 * One attempt: do not repeat it but by the user's wish, since each attempt is a chance, of one in a thousand million,
 * for someone in between.
 *
 * @throws CoupletError `not_connected` unless the session is connected, `key_mismatch`, `key_interrupted`,
 * `key_unsupported`, `closed`, `aborted`; `unsupported` where there is no WebCrypto, as in an insecure context
 */
export async function exchangeKeys(
  session: KeySession,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ExchangedKeys> {
  if (signal?.aborted) throw CoupletError.aborted(signal);
  const { peer } = session;
  if (session.state !== 'connected' || !peer) throw new CoupletError('not_connected');
  const mine = fingerprintsOf(peer.localDescription?.sdp ?? '');
  const pin = new CertificatePin(peer);
  if (!globalThis.crypto?.subtle || !mine.length || !pin.fingerprints.length) {
    throw new CoupletError('unsupported');
  }
  current.get(session)?.end(new CoupletError('key_interrupted'));
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(session, { peer, mine, pin, resolve, reject });
    current.set(session, exchange);
    signal?.addEventListener('abort', () => exchange.end(CoupletError.aborted(signal)), {
      signal: exchange.over,
    });
  });
}

interface ExchangeOptions {
  peer: RTCPeerConnection;
  mine: readonly string[];
  pin: CertificatePin;
  resolve(keys: ExchangedKeys): void;
  reject(error: CoupletError): void;
}

class Exchange {
  readonly #session: KeySession;
  readonly #options: ExchangeOptions;
  /** The first to show, or rather to promise, its key: decided by the certificates alone, and not by the server. */
  readonly #leads: boolean;
  readonly #context: ExchangeContext;
  readonly #stops: (() => void)[];
  readonly #over = new AbortController();
  #taking: Promise<void>;
  #keys: CryptoKeyPair | undefined;
  #ownKey = '';
  #commitment = '';
  #peerKey = '';
  #derived: Derived | undefined;
  #lastSent: KeyMessage[] = [];

  constructor(session: KeySession, options: ExchangeOptions) {
    const [mine, theirs] = [options.mine, options.pin.fingerprints];
    this.#session = session;
    this.#options = options;
    this.#leads = mine.join() < theirs.join();
    const [leader, follower] = this.#leads ? [mine, theirs] : [theirs, mine];
    const exchangeId = this.#leads ? randomId() : '';
    this.#context = { roomId: session.save().roomId, exchangeId, leader, follower };
    this.#stops = [
      session.on('key-message', (message) => this.#queue(() => this.#take(message))),
      session.on('signaling', (state) => {
        if (state === 'ready') this.#send();
      }),
      session.on('peer', () => this.end(new CoupletError('key_interrupted'))),
      session.on('peer-left', () => this.end(new CoupletError('key_interrupted'))),
      session.on('state', (state) => {
        if (state === 'closed') this.end(new CoupletError('closed'));
      }),
    ];
    this.#taking = this.#guarded(() => this.#begin());
  }

  /** Aborted once it is settled. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Ends it, and what still answers for one that succeeded. */
  end(error: CoupletError): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#over.abort();
    this.#options.reject(error);
  }

  #queue(step: () => Promise<void>): void {
    this.#taking = this.#taking.then(() => this.#guarded(step));
  }

  async #guarded(step: () => Promise<void>): Promise<void> {
    // One that is settled takes nothing any more.
    if (this.over.aborted) return;
    try {
      await step();
    } catch (cause) {
      const error = cause instanceof CoupletError ? cause : mismatch(cause);
      if (error.code === 'key_mismatch') {
        // A tag that is never right: the peer's user is not to wait for nothing.
        const sessionId = `${this.#context.exchangeId}.`;
        this.#session.signal({ type: 'key_exchange_complete', sessionId });
      }
      this.end(error);
    }
  }

  async #begin(): Promise<void> {
    if (this.#context.leader.join() === this.#context.follower.join()) throw mismatch();
    await this.#verify();
    this.#keys = await generateKeys();
    this.#ownKey = await exportKey(this.#keys);
    if (!this.#leads) return this.#send(this.#message('hello'));
    this.#commitment = await commitmentTo(this.#ownKey, this.#context);
    this.#send(this.#message('commit', this.#commitment));
  }

  async #take({ sessionId, ...message }: KeyMessage): Promise<void> {
    if (message.type === 'key_exchange_complete') return await this.#complete(sessionId ?? '');
    const [version, kind, value = ''] = message.publicKey.split(':');
    if (version !== KEY_EXCHANGE) throw new CoupletError('key_unsupported');
    if (kind === 'hello') this.#hello();
    else if (kind === 'commit') this.#commit(sessionId ?? '', value);
    else if (kind === 'key') await this.#key(sessionId ?? '', value);
    else throw new CoupletError('key_unsupported');
  }

  #hello(): void {
    if (!this.#leads) throw mismatch();
    // It had our commitment, and begins again: that is another exchange.
    if (this.#derived) throw new CoupletError('key_interrupted');
    this.#send();
  }

  #commit(exchangeId: string, commitment: string): void {
    if (this.#leads) throw mismatch();
    if (this.#commitment) {
      if (exchangeId !== this.#context.exchangeId) throw new CoupletError('key_interrupted');
      if (commitment !== this.#commitment) throw mismatch();
      return;
    }
    this.#context.exchangeId = exchangeId;
    this.#commitment = commitment;
    this.#send(this.#message('key', this.#ownKey));
  }

  async #key(exchangeId: string, peerKey: string): Promise<void> {
    // Of an exchange that was broken off.
    if (exchangeId !== this.#context.exchangeId || !this.#commitment || !this.#keys) return;
    if (this.#derived) {
      if (peerKey !== this.#peerKey) throw mismatch();
      return;
    }
    if (peerKey === this.#ownKey) throw mismatch();
    this.#peerKey = peerKey;
    if (!this.#leads && (await commitmentTo(peerKey, this.#context)) !== this.#commitment) {
      throw mismatch();
    }
    const [leaderKey, followerKey] = this.#leads
      ? [this.#ownKey, peerKey]
      : [peerKey, this.#ownKey];
    const transcript = { ...this.#context, commitment: this.#commitment, leaderKey, followerKey };
    const derived = await derive(this.#keys.privateKey, peerKey, transcript);
    this.#derived = derived;
    const tag = this.#leads ? derived.leaderTag : derived.followerTag;
    const sessionId = `${exchangeId}.${tag}`;
    this.#send(this.#message('key', this.#ownKey), { type: 'key_exchange_complete', sessionId });
  }

  async #complete(sessionId: string): Promise<void> {
    const [exchangeId, tag] = sessionId.split('.');
    if (!exchangeId || exchangeId !== this.#context.exchangeId) return;
    if (!tag) throw mismatch();
    // The key before it was lost, and both come again.
    if (!this.#derived) return;
    const { leaderTag, followerTag, sas, key } = this.#derived;
    if (tag !== (this.#leads ? followerTag : leaderTag)) throw mismatch();
    await this.#verify();
    // It may have ended meanwhile.
    if (this.over.aborted) return;
    const { peer, pin, resolve } = this.#options;
    this.#session.pin(pin);
    // From now on it only sends again what may have been lost.
    this.#over.abort();
    resolve({ sas, key, peer });
  }

  /** Whether the connection is, still, one of the certificates that both ends sign for. */
  async #verify(): Promise<void> {
    const { peer, mine, pin } = this.#options;
    const own = fingerprintsOf(peer.localDescription?.sdp ?? '');
    if (!(await pin.verify(peer)) || own.join() !== mine.join()) throw mismatch();
  }

  #message(kind: 'hello' | 'commit' | 'key', value = ''): KeyMessage {
    const { exchangeId: sessionId } = this.#context;
    const publicKey = [KEY_EXCHANGE, kind, value].join(':');
    return { type: 'key_exchange', publicKey, sessionId };
  }

  /** Sends these, or those of the last time again. */
  #send(...messages: KeyMessage[]): void {
    if (messages.length > 0) this.#lastSent = messages;
    for (const message of this.#lastSent) this.#session.signal(message);
  }
}

const mismatch = (cause?: unknown): CoupletError =>
  new CoupletError('key_mismatch', cause === undefined ? {} : { cause });
