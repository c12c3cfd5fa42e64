// Implements the end-to-end key exchange with a short authentication string, over key_exchange messages.
// The protocol: docs/key-exchange.md.
//
//   leader: sent     │ waits for        │ follower: sent │ waits for
//   commit           │ the other's key  │ hello          │ a commit
//   key, complete    │ a complete       │ key            │ the key committed to
//   (the same)       │ nothing: done    │ key, complete  │ a complete; then done
//
// When the peer becomes reachable again, each end repeats its last messages. An end ignores messages it already received.

import { throwIfAborted } from '../abort.js';
import { abortedError, CoupletError } from '../errors.js';
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

/** The part of a session that the exchange uses. */
export type KeySession = Pick<
  PeerSession,
  'on' | 'peer' | 'pin' | 'state' | 'save' | 'signal' | 'trust' | 'saved'
>;

/** The result of a key exchange. */
export interface ExchangedKeys {
  /** Nine digits in three groups, for both users to compare. If they are equal, the connection is not intercepted. */
  readonly sas: string;
  /** Secret shared with the peer only, once the users have compared `sas`. An HKDF key; it cannot be exported. */
  readonly key: CryptoKey;
  /** The verified connection. Until it is closed, the session accepts no other certificate of the peer. */
  readonly peer: RTCPeerConnection;
  /**
   * Makes the pairing verified. Call it at both ends when the users say that the digits are equal: `trust` of the session
   * is then `compared`, and a resumed session refuses a peer without the key. No effect if it was verified before.
   */
  confirm(): void;
}

/** The latest exchange of each session. A new exchange replaces it. */
const current = new WeakMap<KeySession, Exchange>();

/**
 * Exchanges keys with the peer. Both applications call it, in either order. Afterwards the session is bound to the peer's
 * certificate: a description with another certificate is not applied, and ends the session with `peer_changed`.
 * This is one attempt. Repeat it only if the user asks: each attempt gives an attacker a chance of one in a thousand
 * million.
 *
 * @throws CoupletError `not_connected` unless the session is connected; `key_mismatch`, `key_interrupted`,
 * `key_unsupported`, `closed`, `aborted`; `unsupported` if there is no WebCrypto, as in an insecure context.
 */
export async function exchangeKeys(
  session: KeySession,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ExchangedKeys> {
  throwIfAborted(signal);
  const { peer } = session;
  if (session.state !== 'connected' || !peer) throw new CoupletError('not_connected');
  const mine = fingerprintsOf(peer.localDescription?.sdp ?? '');
  const pin = new CertificatePin(peer);
  if (!globalThis.crypto?.subtle || !mine.length || !pin.fingerprints.length) {
    throw new CoupletError('unsupported', 'Comparing keys needs WebCrypto, and thus HTTPS.');
  }
  current.get(session)?.end(keyError('key_interrupted'));
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(session, { peer, mine, pin, resolve, reject });
    current.set(session, exchange);
    signal?.addEventListener('abort', () => exchange.end(abortedError(signal)), {
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
  /** Whether this end is the leader, which commits to its key first. The certificates decide it, not the server. */
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
      session.on('peer', () => this.end(keyError('key_interrupted'))),
      session.on('peer-left', () => this.end(keyError('key_interrupted'))),
      session.on('state', (state) => {
        if (state === 'closed') this.end(new CoupletError('closed'));
      }),
    ];
    this.#taking = this.#guarded(() => this.#begin());
  }

  /** Aborted once the exchange is settled. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Ends the exchange. After a success, stops repeating messages. */
  end(error: CoupletError): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#over.abort();
    this.#options.reject(error);
  }

  #queue(step: () => Promise<void>): void {
    this.#taking = this.#taking.then(() => this.#guarded(step));
  }

  async #guarded(step: () => Promise<void>): Promise<void> {
    // A settled exchange processes no more messages.
    if (this.over.aborted) return;
    try {
      await step();
    } catch (cause) {
      const error = cause instanceof CoupletError ? cause : mismatch(cause);
      if (error.code === 'key_mismatch') {
        // Send an empty tag, which is always wrong, so that the peer fails at once instead of waiting.
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
    if (version !== KEY_EXCHANGE) throw keyError('key_unsupported');
    if (kind === 'hello') this.#hello();
    else if (kind === 'commit') this.#commit(sessionId ?? '', value);
    else if (kind === 'key') await this.#key(sessionId ?? '', value);
    else throw keyError('key_unsupported');
  }

  #hello(): void {
    if (!this.#leads) throw mismatch();
    // The peer already had our commitment and now starts again: that is another exchange.
    if (this.#derived) throw keyError('key_interrupted');
    this.#send();
  }

  #commit(exchangeId: string, commitment: string): void {
    if (this.#leads) throw mismatch();
    if (this.#commitment) {
      if (exchangeId !== this.#context.exchangeId) throw keyError('key_interrupted');
      if (commitment !== this.#commitment) throw mismatch();
      return;
    }
    this.#context.exchangeId = exchangeId;
    this.#commitment = commitment;
    this.#send(this.#message('key', this.#ownKey));
  }

  async #key(exchangeId: string, peerKey: string): Promise<void> {
    // The message belongs to an earlier exchange.
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
    // The key message was lost. The peer sends both messages again.
    if (!this.#derived) return;
    const { leaderTag, followerTag, sas, key, pairingKey } = this.#derived;
    if (tag !== (this.#leads ? followerTag : leaderTag)) throw mismatch();
    await this.#verify();
    // The exchange may have ended during the await.
    if (this.over.aborted) return;
    const { peer, pin, resolve } = this.#options;
    this.#session.pin(pin);
    // From now on this end only repeats messages that may have been lost.
    this.#over.abort();
    const saved = { key: `${this.#leads ? 'a' : 'b'}.${pairingKey}` };
    const session = this.#session;
    const confirm = () => {
      if (session.trust === 'none') Object.assign(session, { trust: 'compared', saved });
    };
    resolve({ sas, key, peer, confirm });
  }

  /** Throws `key_mismatch` unless the connection still uses the certificates of the exchange. */
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

  /** Sends the given messages; without arguments, sends the last ones again. */
  #send(...messages: KeyMessage[]): void {
    if (messages.length > 0) this.#lastSent = messages;
    for (const message of this.#lastSent) this.#session.signal(message);
  }
}

const MESSAGES = {
  key_mismatch: 'The two devices have different data. The connection may be intercepted.',
  key_interrupted: 'The key exchange was interrupted.',
  key_unsupported: 'The other device does not support this key exchange.',
};

const keyError = (code: keyof typeof MESSAGES, cause?: unknown): CoupletError =>
  new CoupletError(code, MESSAGES[code], cause);

const mismatch = (cause?: unknown): CoupletError => keyError('key_mismatch', cause);
