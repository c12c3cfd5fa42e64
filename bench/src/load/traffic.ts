// Counts the bytes of clients as TCP carries them: with the headers of HTTP and WebSocket, without those of TCP.

export interface Traffic {
  readonly sent: number;
  readonly received: number;
}

export const trafficOf = (sockets: readonly Traffic[]): Traffic => ({
  sent: sockets.reduce((sum, { sent }) => sum + sent, 0),
  received: sockets.reduce((sum, { received }) => sum + received, 0),
});

/** Bytes per event, for `events` since `before`. */
export function bytesPer(events: number, sockets: readonly Traffic[], before?: Traffic) {
  const { sent, received } = trafficOf(sockets);
  return {
    bytesFromClients: (sent - (before?.sent ?? 0)) / events,
    bytesToClients: (received - (before?.received ?? 0)) / events,
  };
}
