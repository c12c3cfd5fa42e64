// Implements the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header), which identifies a repeated request.
import { createHash } from 'node:crypto';
import { IDEMPOTENCY_SECONDS, MAX_ID_BYTES } from '@couplet/protocol';
import type { TObject } from '@couplet/protocol/typebox';
import type { FastifyRequest } from 'fastify';
import { Limited, Unavailable } from '../base/failures.js';
import type { Quota } from '../limits/quota.js';
import { RequestFault } from './errors.js';
import { requestAddress } from './paced-requests.js';

/** A request that its client may repeat. A repeat gets the same answer. */
export interface Repeatable {
  readonly key: string;
  /** Distinguishes this request from other requests with the same key. */
  readonly fingerprint: string;
  /** The key under which limits count the client's address. */
  readonly address: string;
  /** When the record of the first outcome expires, in milliseconds since the Unix epoch. */
  readonly keptUntil: number;
}

/** The key was already used for another request. */
export interface KeyReused {
  readonly kind: 'key_reused';
}

/** Reads the header; undefined if there is none. */
function repeatable(request: FastifyRequest, now: number): Repeatable | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || key === '' || key.length > MAX_ID_BYTES) {
    throw new RequestFault('invalid_idempotency_key');
  }
  const { url, schema } = request.routeOptions;
  // Only fields that the route uses distinguish requests.
  const names = Object.keys((schema?.body as TObject | undefined)?.properties ?? {});
  const body = (request.body ?? {}) as Record<string, unknown>;
  const fields = Object.fromEntries(names.map((name) => [name, body[name]]));
  const fingerprint = createHash('sha256')
    .update(`${request.method} ${url}\n${JSON.stringify(fields)}`)
    .digest('base64');
  const address = requestAddress(request);
  return { key, fingerprint, address, keptUntil: now + IDEMPOTENCY_SECONDS * 1000 };
}

/** Counts the requests with a key, because the number of records is bounded. */
export interface KeyedRequests {
  /** Requests that each address may send. */
  readonly quota: Quota;
  /** Finds the first outcome of a request. A repeat is answered with it, without the work, and is not counted. */
  recall(request: Repeatable): Promise<unknown>;
}

/** The requests with a key that this process is serving. */
export class InFlight {
  readonly #keys = new Set<string>();
  readonly #counted: KeyedRequests | undefined;

  /** @param counted - undefined if the work itself counts the requests and finds the first outcome of a repeat */
  constructor(counted: KeyedRequests | undefined) {
    this.#counted = counted;
  }

  /**
   * Serves a request with its Idempotency-Key, if it has one.
   *
   * @throws RequestFault `invalid_idempotency_key`, `idempotency_key_reused`, and as {@link run}
   */
  async serve<T extends { kind: string }>(
    request: FastifyRequest,
    now: number,
    work: (once?: Repeatable) => Promise<T>,
  ): Promise<Exclude<T, KeyReused>> {
    const once = repeatable(request, now);
    const outcome = once === undefined ? await work() : await this.run(once, () => work(once));
    if (outcome.kind === 'key_reused') throw new RequestFault('idempotency_key_reused');
    return outcome as Exclude<T, KeyReused>;
  }

  /**
   * Runs a request, unless another request with its key is running.
   *
   * @throws RequestFault `request_in_progress`
   * @throws Limited if the address has used up its quota
   */
  async run<T>(request: Repeatable, work: () => Promise<T>): Promise<T> {
    if (this.#keys.has(request.key)) throw new RequestFault('request_in_progress');
    this.#keys.add(request.key);
    try {
      if (this.#counted === undefined) return await work();
      const { quota, recall } = this.#counted;
      const first = await recall(request);
      if (first !== undefined) return first as T;
      const wait = quota.take(request.address);
      if (wait > 0) throw new Limited(wait);
      return await work().catch((error) => {
        // No outcome was stored, and the client repeats the request.
        if (error instanceof Unavailable) quota.giveBack(request.address);
        throw error;
      });
    } finally {
      this.#keys.delete(request.key);
    }
  }
}
