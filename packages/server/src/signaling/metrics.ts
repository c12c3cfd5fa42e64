// Registers the metrics of signaling.
import type { Metrics } from '../observability/metrics.js';
import type { Signaling } from './signaling.js';

export function signalingMetrics(
  metrics: Metrics,
  { counters, connections, backplane }: Signaling,
): void {
  metrics.level('couplet_connections', 'WebSocket connections open now.', () => connections.size);
  metrics.count(
    'couplet_connections_opened_total',
    'WebSocket opening handshakes completed.',
    () => counters.opened,
  );
  metrics.level('couplet_live_rooms', 'Rooms with at least one member now.', () =>
    backplane.roomCount(),
  );
  metrics.counts(
    'couplet_messages_total',
    'Messages accepted from clients, by type.',
    'type',
    () => counters.messages,
  );
  metrics.counts(
    'couplet_forwards_total',
    'Messages forwarded to a peer, by type.',
    'type',
    () => counters.forwards,
  );
  metrics.counts(
    'couplet_drops_total',
    'Messages that were not delivered or had no effect, by cause.',
    'cause',
    () => counters.drops,
  );
  metrics.counts(
    'couplet_refused_handshakes_total',
    'WebSocket opening handshakes refused, by cause.',
    'cause',
    () => counters.refusals,
  );
  metrics.counts(
    'couplet_closes_total',
    'WebSocket connections that the server closed, by reason.',
    'reason',
    () => counters.closes,
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
}
