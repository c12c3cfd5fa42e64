// Sends bytes on a bare TCP connection, for requests that no HTTP client would send.
import { connect } from 'node:net';

export interface RawAnswer {
  status: number;
  /** Header lines as received, in lower case. */
  head: string;
  body: string;
}

/** Sends the bytes and reads until the server closes the connection. Send `Connection: close` if it would stay open. */
export async function rawRequest(url: string, bytes: string | Buffer): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  const text = await new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    socket.on('error', (error) => {
      // A server that refuses a request early may close the connection before the request is complete.
      if (chunks.length === 0) reject(error);
    });
  });
  const [head = '', ...rest] = text.split('\r\n\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]),
    head: head.toLowerCase(),
    body: rest.join('\r\n\r\n'),
  };
}
