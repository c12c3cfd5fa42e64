// Implements a small TURN client (RFC 8656) with long-term credentials (RFC 8489 §9.2): one allocation over UDP, TCP or TLS.
import { randomBytes } from 'node:crypto';
import {
  type Address,
  type AttributeName,
  decode,
  encode,
  errorOf,
  hasIntegrity,
  longTermKey,
  type Method,
  readXorAddress,
  type StunMessage,
  uint32,
  xorAddress,
} from './stun-message.js';
import { openTransport, type Transport, type TurnServerAddress } from './turn-transport.js';

/** An error response of the server. */
export class TurnError extends Error {
  readonly code: number;
  constructor({ code, reason }: { code: number; reason: string }) {
    super(`${code} ${reason}`);
    this.name = 'TurnError';
    this.code = code;
  }
}

export interface Allocation {
  relayed: Address;
  /** The server-reflexive address of the client. */
  mapped: Address;
  lifetimeSeconds: number;
}

/** First delay before a UDP request is resent; doubles up to the second value. Shorter than in RFC 8489 §6.2.1 for one client. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 800;
const DEFAULT_TIMEOUT_MS = 10_000;
/** Maximum number of queued packets from peers. Further packets are dropped, as UDP allows. */
const MOST_RECEIVED = 64;
/** IANA protocol number of UDP, in the first byte of REQUESTED-TRANSPORT. */
const RELAY_OVER_UDP = uint32(17 << 24);

export class TurnClient {
  #transport: Transport | undefined;
  readonly #credentials: { username: string; credential: string } | undefined;
  readonly #pending = new Map<string, (answer: StunMessage | Error) => void>();
  readonly #received: { peer: Address; data: Buffer }[] = [];
  #wake: () => void = () => {};
  /** The last challenge. Before the first one, requests are sent without credentials. */
  #challenge: { realm: Buffer; nonce: Buffer } | undefined;
  /** Number of requests that were answered 438 and repeated with the new nonce. */
  staleNonces = 0;

  private constructor(credentials?: { username: string; credential: string }) {
    this.#credentials = credentials;
  }

  /** Connects, unless `signal` is aborted. Without credentials, only `binding` works. The caller must close the client. */
  static async connect(
    server: TurnServerAddress,
    credentials?: { username: string; credential: string },
    signal?: AbortSignal,
  ): Promise<TurnClient> {
    const client = new TurnClient(credentials);
    client.#transport = await openTransport(
      server,
      (bytes) => client.#take(bytes),
      (cause) => client.#fail(cause),
      signal,
    );
    return client;
  }

  /** Resolves to the mapped address from a STUN binding (RFC 8489 §12). */
  async binding(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<Address> {
    const answer = await this.#exchange('binding', () => [], undefined, timeoutMs);
    if (answer.class !== 'success') throw new TurnError(errorOf(answer));
    return addressIn(answer, 'xorMappedAddress');
  }

  /** @throws {@link TurnError} if the allocation is refused */
  async allocate(options: { lifetimeSeconds?: number; family?: 4 | 6 } = {}): Promise<Allocation> {
    const answer = await this.#request('allocate', () => [
      ['requestedTransport', RELAY_OVER_UDP],
      ...(options.family === 6
        ? ([['requestedAddressFamily', uint32(2 << 24)]] as [AttributeName, Buffer][])
        : []),
      ...(options.lifetimeSeconds === undefined
        ? []
        : ([['lifetime', uint32(options.lifetimeSeconds)]] as [AttributeName, Buffer][])),
    ]);
    return {
      relayed: addressIn(answer, 'xorRelayedAddress'),
      mapped: addressIn(answer, 'xorMappedAddress'),
      lifetimeSeconds: lifetimeIn(answer),
    };
  }

  /** Refreshes the allocation and resolves to the new lifetime. A lifetime of 0 ends it. */
  async refresh(lifetimeSeconds: number, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<number> {
    const lifetime = () => [['lifetime', uint32(lifetimeSeconds)]] as [AttributeName, Buffer][];
    return lifetimeIn(await this.#request('refresh', lifetime, timeoutMs));
  }

  /** Allows packets from and to an address (RFC 8656 §9). */
  async createPermission(ip: string): Promise<void> {
    await this.#request('createPermission', (transactionId) => [
      ['xorPeerAddress', xorAddress({ ip, port: 0 }, transactionId)],
    ]);
  }

  /** Sends a Send indication (RFC 8656 §11), which has no response. */
  send(peer: Address, data: Buffer): void {
    const transactionId = randomBytes(12);
    const attributes: [AttributeName, Buffer][] = [
      ['xorPeerAddress', xorAddress(peer, transactionId)],
      ['data', data],
    ];
    this.#transport?.send(encode('send', 'indication', attributes, { transactionId }));
  }

  /** Resolves to the next packet that a peer sent to the relayed address. */
  async receive(): Promise<{ peer: Address; data: Buffer }> {
    for (;;) {
      const packet = this.#received.shift();
      if (packet) return packet;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Closes the transport and rejects pending requests. The server keeps an allocation over UDP until its lifetime ends. */
  close(): void {
    this.#fail(new Error('closed'));
    this.#transport?.close();
  }

  #fail(cause: Error): void {
    for (const settle of this.#pending.values()) settle(cause);
  }

  /** Sends a request with credentials, and repeats it once after a challenge (401) or a stale nonce (438). */
  async #request(
    method: Method,
    attributes: (transactionId: Buffer) => [AttributeName, Buffer][],
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<StunMessage> {
    for (let attempt = 0; ; attempt++) {
      const challenge = this.#challenge;
      const answer = await this.#exchange(method, attributes, challenge, timeoutMs);
      if (answer.class === 'success') return answer;
      const error = errorOf(answer);
      const { realm, nonce } = answer.attributes;
      const challenged = error.code === 438 || (error.code === 401 && challenge === undefined);
      if (!challenged || !this.#credentials || !realm || !nonce || attempt > 1) {
        throw new TurnError(error);
      }
      if (error.code === 438) this.staleNonces += 1;
      this.#challenge = { realm, nonce };
    }
  }

  #exchange(
    method: Method,
    attributes: (transactionId: Buffer) => [AttributeName, Buffer][],
    challenge?: { realm: Buffer; nonce: Buffer },
    timeoutMs = DEFAULT_TIMEOUT_MS,
  ): Promise<StunMessage> {
    const transactionId = randomBytes(12);
    const own = attributes(transactionId);
    const { username, credential } = this.#credentials ?? { username: '', credential: '' };
    const key = challenge && longTermKey(username, challenge.realm.toString(), credential);
    const request = encode(
      method,
      'request',
      challenge
        ? [
            ...own,
            ['username', Buffer.from(username)],
            ['realm', challenge.realm],
            ['nonce', challenge.nonce],
          ]
        : own,
      { transactionId, ...(key ? { key } : {}) },
    );
    const id = transactionId.toString('hex');
    return new Promise((resolve, reject) => {
      let repeat: NodeJS.Timeout | undefined;
      const settle = (answer: StunMessage | Error) => {
        this.#pending.delete(id);
        clearTimeout(repeat);
        clearTimeout(timeout);
        if (answer instanceof Error) reject(answer);
        else if (answer.class === 'success' && key && !hasIntegrity(answer, key)) {
          reject(new Error('the answer has a wrong MESSAGE-INTEGRITY'));
        } else resolve(answer);
      };
      const timeout = setTimeout(
        () => settle(new Error(`no answer to ${method} within ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.#pending.set(id, settle);
      const transmit = (waitMs: number) => {
        this.#transport?.send(request);
        if (this.#transport?.reliable) return;
        repeat = setTimeout(() => transmit(Math.min(2 * waitMs, LONGEST_WAIT_MS)), waitMs);
      };
      transmit(FIRST_WAIT_MS);
    });
  }

  #take(bytes: Buffer): void {
    const message = decode(bytes);
    if (message === undefined) return;
    if (message.method === 'data' && message.class === 'indication') {
      const { data = Buffer.alloc(0), xorPeerAddress } = message.attributes;
      const address = xorPeerAddress && readXorAddress(xorPeerAddress, message.transactionId);
      if (!address || this.#received.length >= MOST_RECEIVED) return;
      this.#received.push({ peer: address, data });
      this.#wake();
      return;
    }
    this.#pending.get(message.transactionId.toString('hex'))?.(message);
  }
}

function addressIn(message: StunMessage, name: AttributeName): Address {
  const value = message.attributes[name];
  const address = value && readXorAddress(value, message.transactionId);
  if (address === undefined) throw new Error(`the answer lacks ${name}`);
  return address;
}

function lifetimeIn({ attributes }: StunMessage): number {
  return attributes.lifetime?.length === 4 ? attributes.lifetime.readUInt32BE(0) : 0;
}
