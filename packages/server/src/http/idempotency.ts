// The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): a request that may come again, told from others.
import { createHash } from 'node:crypto';
import { IDEMPOTENCY_SECONDS, MAX_ID_BYTES } from '@couplet/protocol';
import type { TObject } from '@couplet/protocol/typebox';
import type { FastifyRequest } from 'fastify';
import { Limited, Unavailable } from '../base/failures.js';
import type { Quota } from '../limits/quota.js';
import { addressKey } from './client-address.js';
import { RequestFault } from './errors.js';

/** A request that its client may send again, and is to be answered as the first time. */
export interface Repeatable {
  readonly key: string;
  /** Tells this request from any other with the same key. */
  readonly fingerprint: string;
  /** What the address that sent it counts as. */
  readonly address: string;
  /** Until when the first outcome is kept, in milliseconds since the Unix epoch. */
  readonly keptUntil: number;
}

/** The key was used for another request before. */
export interface KeyReused {
  readonly kind: 'key_reused';
}

/** Reads the header; undefined where the client sent none. */
export function repeatable(request: FastifyRequest, now: number): Repeatable | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || key === '' || key.length > MAX_ID_BYTES) {
    throw new RequestFault('invalid_idempotency_key');
  }
  const { url, schema } = request.routeOptions;
  // Fields that the route ignores tell no requests apart, and may hold anything.
  const fields = Object.keys((schema?.body as TObject | undefined)?.properties ?? {});
  const fingerprint = createHash('sha256')
    .update(`${request.method} ${url}\n${JSON.stringify(request.body, fields)}`)
    .digest('base64');
  const address = addressKey(request.ip);
  return { key, fingerprint, address, keptUntil: now + IDEMPOTENCY_SECONDS * 1000 };
}

/** The requests with a key that this process is working on. */
export class InFlight {
  readonly #keys = new Set<string>();
  readonly #quota: Quota | undefined;

  /**
   * @param quota - requests that each address may send, since the number of records is bounded; undefined where the work
   * counts them itself, and finds out by itself what a repeat came to the first time
   */
  constructor(quota: Quota | undefined) {
    this.#quota = quota;
  }

  /**
   * Runs a request unless one with its key is under way.
   *
   * @param recall - finds what the request came to the first time: a repeat is then answered without the work, and
   * costs nothing
   * @throws RequestFault `request_in_progress`
   * @throws Limited if its address has used up its quota
   */
  async run<T>(
    request: Repeatable | undefined,
    work: () => Promise<T>,
    recall: (request: Repeatable) => Promise<T | undefined> = async () => undefined,
  ): Promise<T> {
    if (request === undefined) return work();
    if (this.#keys.has(request.key)) throw new RequestFault('request_in_progress');
    this.#keys.add(request.key);
    try {
      const quota = this.#quota;
      if (quota === undefined) return await work();
      const first = await recall(request);
      if (first !== undefined) return first;
      const wait = await quota.take(request.address);
      if (wait > 0) throw new Limited(wait);
      return await work().catch(async (error) => {
        // Nothing was kept, and the client is to send it again.
        if (error instanceof Unavailable) await quota.giveBack(request.address);
        throw error;
      });
    } finally {
      this.#keys.delete(request.key);
    }
  }
}
