// Packets of the doctor on their way: sent until they arrive, since UDP may lose one, and taken by their content.
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { orAborted } from './check.js';
import type { Address } from './stun-message.js';
import type { TurnClient } from './turn-client.js';

const AGAIN_MS = 200;

/** Sends, and sends again, until what is waited for has come. */
export async function repeating<T>(send: () => void, wait: () => Promise<T>): Promise<T> {
  send();
  const timer = setInterval(send, AGAIN_MS);
  try {
    return await wait();
  } finally {
    clearInterval(timer);
  }
}

/** Waits for a packet with this content to come out of the allocation; tells who sent it. */
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

/** A socket that knows nothing of TURN, like a peer's. */
export interface PlainSocket {
  send(content: Buffer): void;
  receive(content: Buffer, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Sends to one address; takes from any, as a NAT may show another port. */
export async function openPlainSocket(to: Address): Promise<PlainSocket> {
  const socket = createSocket(isIPv6(to.ip) ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, resolve);
  });
  // A packet that is refused on its way is a packet lost.
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
