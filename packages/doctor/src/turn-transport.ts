// Carries STUN messages between a TURN client and its server over UDP, TCP or TLS (RFC 8656 §2.1).
import { createSocket } from 'node:dgram';
import { connect as connectTcp, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { HEADER_BYTES } from './stun-message.js';

export interface TurnServerAddress {
  transport: 'udp' | 'tcp' | 'tls';
  host: string;
  port: number;
  /** For TLS: the certificates to trust instead of the system's, and the required name in the server's certificate. */
  ca?: string | undefined;
  servername?: string | undefined;
  /** For UDP: continues if the port is closed, because the server may still be starting. */
  ignoreRefusals?: boolean;
}

export interface Transport {
  /** Whether the transport is reliable, so that requests need not be resent (RFC 8489 §6.2.2). */
  readonly reliable: boolean;
  send(message: Buffer): void;
  close(): void;
}

/** Opens a transport. Calls `onMessage` with whole messages, and `onClose` after the last one. */
export async function openTransport(
  server: TurnServerAddress,
  onMessage: (message: Buffer) => void,
  onClose: (cause: Error) => void,
  signal?: AbortSignal,
): Promise<Transport> {
  return server.transport === 'udp'
    ? openUdp(server, onMessage, onClose)
    : openStream(server, onMessage, onClose, signal);
}

async function openUdp(
  { host, port, ignoreRefusals = false }: TurnServerAddress,
  onMessage: (message: Buffer) => void,
  onClose: (cause: Error) => void,
): Promise<Transport> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.on('message', onMessage);
  // An ICMP error "connection refused" means that no program listens, and ends a transaction (RFC 8489 §6.2.1).
  const refused = (cause: Error) => {
    if (!ignoreRefusals) onClose(cause);
  };
  socket.on('error', refused);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(port, host, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  let open = true;
  return {
    reliable: false,
    send(message) {
      if (open) socket.send(message, (error) => error && refused(error));
    },
    close() {
      if (open) socket.close();
      open = false;
    },
  };
}

async function openStream(
  server: TurnServerAddress,
  onMessage: (message: Buffer) => void,
  onClose: (cause: Error) => void,
  signal?: AbortSignal,
): Promise<Transport> {
  const { host, port, ca, servername } = server;
  const tls = server.transport === 'tls';
  const socket: Socket = tls
    ? connectTls({ host, port, ...(ca ? { ca } : {}), ...(servername ? { servername } : {}) })
    : connectTcp({ host, port });
  const abandon = () => socket.destroy(new Error('abandoned'));
  signal?.addEventListener('abort', abandon, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the server closed the connection')));
      socket.once(tls ? 'secureConnect' : 'connect', resolve);
    });
  } finally {
    signal?.removeEventListener('abort', abandon);
  }
  let waiting = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    waiting = Buffer.concat([waiting, bytes]);
    // Messages are framed only by the length in their header (RFC 8489 §6.2.2).
    while (waiting.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + waiting.readUInt16BE(2);
      if (waiting.length < end) break;
      onMessage(waiting.subarray(0, end));
      waiting = waiting.subarray(end);
    }
  });
  socket.on('error', onClose);
  socket.on('close', () => onClose(new Error('the server closed the connection')));
  return {
    reliable: true,
    send: (message) => void socket.write(message),
    close: () => socket.destroy(),
  };
}
