// What carries STUN messages between a TURN client and its server: UDP, TCP or TLS (RFC 8656 §2.1).
import { createSocket } from 'node:dgram';
import { connect as connectTcp, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { HEADER_BYTES } from './stun.js';

export interface TurnServerAddress {
  transport: 'udp' | 'tcp' | 'tls';
  host: string;
  port: number;
  /** TLS: the certificate to trust, and the name that it must be for. */
  ca?: string;
  servername?: string;
}

export interface Transport {
  /** Whether a message that was sent arrives, so that requests need not be repeated (RFC 8489 §6.2.2). */
  readonly reliable: boolean;
  send(message: Buffer): void;
  close(): void;
}

/** Opens a transport; `onMessage` gets whole messages, `onClose` tells that there will be no more. */
export async function openTransport(
  server: TurnServerAddress,
  onMessage: (message: Buffer) => void,
  onClose: (cause: Error) => void,
): Promise<Transport> {
  return server.transport === 'udp'
    ? openUdp(server, onMessage)
    : openStream(server, onMessage, onClose);
}

async function openUdp(
  { host, port }: TurnServerAddress,
  onMessage: (message: Buffer) => void,
): Promise<Transport> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.on('message', onMessage);
  // "Connection refused" by ICMP: the server may not be up yet, and requests are repeated.
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.connect(port, host, resolve));
  let open = true;
  return {
    reliable: false,
    send: (message) => socket.send(message, () => {}),
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
): Promise<Transport> {
  const { host, port, ca, servername } = server;
  const tls = server.transport === 'tls';
  const socket: Socket = tls
    ? connectTls({ host, port, ...(ca ? { ca } : {}), ...(servername ? { servername } : {}) })
    : connectTcp({ host, port });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once(tls ? 'secureConnect' : 'connect', resolve);
  });
  let waiting = Buffer.alloc(0);
  socket.on('data', (bytes: Buffer) => {
    waiting = Buffer.concat([waiting, bytes]);
    // The length in the header is all the framing there is (RFC 8489 §6.2.2).
    while (waiting.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + waiting.readUInt16BE(2);
      if (waiting.length < end) break;
      onMessage(waiting.subarray(0, end));
      waiting = waiting.subarray(end);
    }
  });
  socket.on('error', onClose);
  socket.on('close', () => onClose(new Error('the TURN server closed the connection')));
  return {
    reliable: true,
    send: (message) => socket.write(message),
    close: () => socket.destroy(),
  };
}
