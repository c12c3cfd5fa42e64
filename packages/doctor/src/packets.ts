// Sends test packets repeatedly until they arrive, because UDP may lose them, and recognizes them by content.
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { orAborted } from './check.js';
import type { Address } from './stun-message.js';
import type { TurnClient } from './turn-client.js';

const AGAIN_MS = 200;

/** Repeats sending until the awaited packet arrives. */
export async function repeating<T>(send: () => void, wait: () => Promise<T>): Promise<T> {
  send();
  const timer = setInterval(send, AGAIN_MS);
  try {
    return await wait();
  } finally {
    clearInterval(timer);
  }
}

/** Waits until the allocation receives a packet with this content. Resolves to its sender. */
export async function take(
  client: TurnClient,
  content: Buffer,
  signal: AbortSignal,
): Promise<{ peer: Address }> {
  for (;;) {
    const packet = await orAborted(signal, client.receive());
    if (packet.data.equals(content)) return packet;
  }
}

/** A plain UDP socket without TURN, like that of a peer. */
export interface PlainSocket {
  send(content: Buffer): void;
  receive(content: Buffer, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Sends to one address. Receives from any, because a NAT may change the port. */
export async function openPlainSocket(to: Address): Promise<PlainSocket> {
  const socket = createSocket(isIPv6(to.ip) ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, resolve);
  });
  // Treat a refused packet as lost.
  socket.on('error', () => {});
  return {
    send: (content) => socket.send(content, to.port, to.ip, () => {}),
    receive: (content, signal) =>
      orAborted(
        signal,
        new Promise<void>((resolve) => {
          socket.on('message', (message) => {
            if (message.equals(content)) resolve();
          });
        }),
      ),
    close: () => void socket.close(),
  };
}
