// Counts the events of signaling in plain numbers, which a scrape reads.
import {
  CLOSE_CODES,
  type ClientMessage,
  type CloseReason,
  type ForwardedMessage,
  type RestErrorCode,
} from '@couplet/protocol';
import { CLIENT_MESSAGES } from '@couplet/protocol/schema';
import type { Metrics } from '../observability/metrics.js';

const FORWARDED = [
  'webrtc_offer',
  'webrtc_answer',
  'ice_candidate',
  'key_exchange',
  'key_exchange_complete',
] as const satisfies readonly ForwardedMessage['type'][];

/** Why a message was not delivered or had no effect. */
const DROP_CAUSES = ['fault', 'rate', 'no_room', 'no_peer', 'peer_gone', 'unavailable'] as const;

/** Why an opening handshake was refused, with the code of the answer. */
export const REFUSALS = {
  total: 'unavailable',
  address: 'unavailable',
  budget: 'rate_limited',
  host: 'forbidden',
  origin: 'forbidden',
  path: 'not_found',
  unauthorized: 'unauthorized',
  draining: 'unavailable',
  handshake: 'invalid_request',
} as const satisfies Record<string, RestErrorCode>;

export type RefusalCause = keyof typeof REFUSALS;

export type SignalingCounters = ReturnType<typeof signalingCounters>;

export function signalingCounters(metrics: Metrics) {
  const counters = {
    messages: metrics.counter(
      'couplet_messages_total',
      'Messages accepted from clients, by type.',
      'type',
      Object.keys(CLIENT_MESSAGES) as ClientMessage['type'][],
    ),
    forwards: metrics.counter(
      'couplet_forwards_total',
      'Messages forwarded to a peer, by type.',
      'type',
      FORWARDED,
    ),
    drops: metrics.counter(
      'couplet_drops_total',
      'Messages that were not delivered or had no effect, by cause.',
      'cause',
      DROP_CAUSES,
    ),
    refusals: metrics.counter(
      'couplet_refused_handshakes_total',
      'WebSocket opening handshakes refused, by cause.',
      'cause',
      Object.keys(REFUSALS) as RefusalCause[],
    ),
    closes: metrics.counter(
      'couplet_closes_total',
      'WebSocket connections that the server closed, by reason.',
      'reason',
      Object.keys(CLOSE_CODES) as CloseReason[],
    ),
    opened: 0,
    warnings: 0,
    reaped: 0,
  };
  metrics.count(
    'couplet_connections_opened_total',
    'WebSocket opening handshakes completed.',
    () => counters.opened,
  );
  metrics.count(
    'couplet_rate_warnings_total',
    'Warnings to connections that exceeded the message rate.',
    () => counters.warnings,
  );
  metrics.count(
    'couplet_reaped_total',
    'Connections dropped because they did not answer the heartbeat.',
    () => counters.reaped,
  );
  return counters;
}
