// The attacker of `npm run bench -- abuse`: attacker.js <mix> <port> <seconds>. Sends the heaviest loads of one address that
// consist of allowed requests and messages only, and ends by itself after that time.
import { connect, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { clientFrame, openingHandshake, PING, TEXT, textFrame } from '../wire/client-frames.js';
import { DIALECTS } from './dialects.js';

/** All of it comes from one address, which is not that of the healthy pair. */
const ADDRESS = '127.0.0.2';

/** Delay before a closed connection is reopened, in milliseconds. The attacker must leave the core to the other load. */
const REOPEN_MS = 20;

/** Bytes that one connection may have in flight; its socket accepts no more than the server reads. */
const MAX_UNDER_WAY = 262_144;

const [mix = '', portText, seconds] = process.argv.slice(2);
const port = Number(portText);
const HANDSHAKE = openingHandshake('/', port);

/** Keeps this many connections open. Each is begun by `begin`, and opened again when it closes. */
function keepOpen(
  connections: number,
  begin: (socket: Socket, number: number) => void,
  reopenMs = REOPEN_MS,
): void {
  const open = (number: number) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS });
    begin(socket, number);
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(open, reopenMs, number));
  };
  for (let number = 0; number < connections; number++) open(number);
}

/** Sends the same bytes repeatedly, as fast as they are read. */
function pour(socket: Socket, bytes: Buffer): void {
  const send = () => {
    while (socket.writable && socket.writableLength < MAX_UNDER_WAY && socket.write(bytes));
  };
  socket.on('drain', send);
  send();
}

const flood = (connections: number, bytes: Buffer): void =>
  keepOpen(connections, (socket) => socket.once('connect', () => pour(socket, bytes)));

const floodFrames = (connections: number, frames: Buffer): void =>
  keepOpen(connections, (socket) => {
    socket.write(HANDSHAKE);
    socket.once('data', () => pour(socket, frames));
  });

/** Opens connections, writes these bytes, and closes each once it is answered. */
const churn = (connections: number, bytes: Buffer): void =>
  keepOpen(
    connections,
    (socket) => {
      socket.write(bytes);
      socket.once('data', () => socket.destroy());
    },
    0,
  );

const request = (method: string, path: string, body = '') =>
  Buffer.from(
    `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
      (body === ''
        ? ''
        : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`) +
      `\r\n${body}`,
  );

const check = (members: string) =>
  request('POST', '/api/rooms/check', `{"joinid":"123456",${members}}`);

const purge = (count: number, id: string) =>
  request('POST', '/api/user/purge', JSON.stringify({ deviceIds: Array(count).fill(id) }));

const repeated = (one: Buffer, bytes: number) =>
  Buffer.concat(Array<Buffer>(Math.max(1, Math.floor(bytes / one.length))).fill(one));

const MIXES: Record<string, () => void> = {
  json() {
    flood(8, check(`"client1":"x","x":${'['.repeat(32_000)}${']'.repeat(32_000)}`));
    flood(8, check(`"client1":"x","x":[${'1,'.repeat(32_000)}1]`));
    flood(8, check(`"client1":"${'\\u00e9'.repeat(10_800)}"`));
  },

  /** Pairs that send as much as one connection may, in bursts of ten. */
  pairs() {
    const tenth = Buffer.concat(Array<Buffer>(10).fill(DIALECTS.couplet.frame('candidate', 0, 0)));
    const sockets = new Set<Socket>();
    keepOpen(
      500,
      (socket, number) => {
        socket.write(HANDSHAKE);
        socket.once('data', () => {
          socket.write(textFrame({ type: 'join_room', roomId: `flood-${number >> 1}` }));
          sockets.add(socket);
        });
        socket.on('close', () => sockets.delete(socket));
      },
      REOPEN_MS * 10,
    );
    setInterval(() => {
      for (const socket of sockets) if (socket.writableLength < MAX_UNDER_WAY) socket.write(tenth);
    }, 100);
  },

  pipelined() {
    flood(16, repeated(request('GET', '/healthz'), 65_536));
    flood(4, repeated(request('GET', '/metrics'), 65_536));
    flood(4, repeated(Buffer.from('GET / HTTP/1.1\r\n\r\n'), 65_536));
  },

  purges() {
    flood(8, purge(1000, 'x'.repeat(2090)));
    flood(8, purge(1000, 'x'.repeat(256)));
    flood(4, purge(1000, 'é'.repeat(128)));
  },

  signaling() {
    const inRoom = [
      textFrame({ type: 'join_room', roomId: 'one', deviceId: 'device' }),
      textFrame({ type: 'join_room', roomId: 'other' }),
      textFrame({ type: 'leave_room' }),
    ];
    floodFrames(32, repeated(Buffer.concat(inRoom), 65_536));
    floodFrames(32, repeated(clientFrame(TEXT, Buffer.from('{}')), 65_536));
    floodFrames(32, repeated(clientFrame(PING, Buffer.alloc(0)), 65_536));
    floodFrames(8, textFrame({ type: 'webrtc_offer', sdp: 'é'.repeat(100_000) }));
  },

  connections() {
    churn(64, Buffer.from(HANDSHAKE));
    churn(64, request('GET', '/healthz'));
    churn(16, Buffer.from('no HTTP\r\n\r\n'));
  },

  bodies() {
    const head = 'HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
    const chunks = `${'1\r\nx\r\n'.repeat(60_000)}0\r\n\r\n`;
    const chunked = `POST /api/rooms/check ${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`;
    flood(16, Buffer.from(chunked));
    const endless = `POST /nowhere ${head}Content-Length: 100000000000\r\n\r\n`;
    flood(16, Buffer.from(endless + 'x'.repeat(65_536)));
    const names = Array.from({ length: 700 }, (_, n) => `x-${n}: ${n}\r\n`).join('');
    flood(16, Buffer.from(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n${names}\r\n`));
    flood(8, repeated(request('GET', '/openapi.json'), 16_384));
    flood(8, repeated(request('GET', '/client.js'), 16_384));
  },

  sockets: () => keepOpen(1000, () => {}, 1000),

  together() {
    for (const [name, start] of Object.entries(MIXES)) if (name !== 'together') start();
  },
};

setTimeout(() => process.exit(0), Number(seconds) * 1000);
// Yields to the healthy pair on the core that both load.
setPriority(19);
MIXES[mix]?.();
