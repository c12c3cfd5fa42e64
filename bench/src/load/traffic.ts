// Bytes that clients send and get: what TCP carries, so with the heads of HTTP and WebSocket and without those of TCP.

export interface Traffic {
  readonly sent: number;
  readonly received: number;
}

export const trafficOf = (sockets: readonly Traffic[]): Traffic => ({
  sent: sockets.reduce((sum, { sent }) => sum + sent, 0),
  received: sockets.reduce((sum, { received }) => sum + received, 0),
});

/** Bytes per event, with `events` of them since `before`. */
export function bytesPer(events: number, sockets: readonly Traffic[], before?: Traffic) {
  const { sent, received } = trafficOf(sockets);
  return {
    bytesFromClients: (sent - (before?.sent ?? 0)) / events,
    bytesToClients: (received - (before?.received ?? 0)) / events,
  };
}
