// What the signaling feature shows: connections, rooms, messages, and what did not happen and why.
import type { Metrics } from '../observability/metrics.js';
import type { Signaling } from './signaling.js';

export function signalingMetrics(
  metrics: Metrics,
  { counters, connections, backplane }: Signaling,
): void {
  metrics.level('couplet_connections', 'WebSocket connections open now.', () => connections.size);
  metrics.count(
    'couplet_connections_opened_total',
    'Opening handshakes done.',
    () => counters.opened,
  );
  metrics.level('couplet_live_rooms', 'Rooms with at least one member now.', () =>
    backplane.roomCount(),
  );
  metrics.counts(
    'couplet_messages_total',
    'Messages taken from clients.',
    'type',
    () => counters.messages,
  );
  metrics.counts(
    'couplet_forwards_total',
    'Messages forwarded to a peer.',
    'type',
    () => counters.forwards,
  );
  metrics.counts(
    'couplet_drops_total',
    'Messages that went nowhere.',
    'cause',
    () => counters.drops,
  );
  metrics.counts(
    'couplet_refused_handshakes_total',
    'Opening handshakes refused.',
    'cause',
    () => counters.refusals,
  );
  metrics.counts(
    'couplet_closes_total',
    'Connections the server closed.',
    'reason',
    () => counters.closes,
  );
  metrics.count(
    'couplet_rate_warnings_total',
    'Connections warned that they send too fast.',
    () => counters.warnings,
  );
  metrics.count(
    'couplet_reaped_total',
    'Connections dropped because their heartbeat went unanswered.',
    () => counters.reaped,
  );
}
