// Declares the services that the files of this folder and the routes share.
import type { FastifyRequest } from 'fastify';
import type { AddressBudgets } from '../limits/address-budget.js';
import type { Services } from '../observability/services.js';
import type { TrustProxy } from './client-address.js';
import type { CorsHeaders } from './cors.js';
import type { HostRule } from './hosts.js';
import type { Lifecycle } from './lifecycle.js';

/** Called when a request is answered. `url`: that of the route. */
export type OnAnswered = (
  request: Pick<FastifyRequest, 'raw' | 'method' | 'log'>,
  url: string | undefined,
  answer: { status: number; ms: number; bytes: number },
) => void;

export interface HttpServices extends Services {
  budgets: AddressBudgets;
  trust: TrustProxy;
  hostFault: HostRule;
  corsHeaders: CorsHeaders;
  lifecycle: Lifecycle;
  answered: OnAnswered;
  /** Makes the id of a request. */
  nextId: () => string;
}
