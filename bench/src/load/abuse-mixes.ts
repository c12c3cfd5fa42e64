// The heaviest loads of one address that consist of allowed requests and messages only.

import { connect, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { clientFrame, openingHandshake, PING, TEXT, textFrame } from '../wire/client-frames.js';

/** All of it comes from one address, which is not that of the healthy pair. */
const ADDRESS = '127.0.0.2';

/** Delay before a closed connection is reopened, in milliseconds. The attacker must leave the core to the other load. */
const REOPEN_MS = 20;

/** Bytes that one connection may have in flight; its socket accepts no more than the server reads. */
const MAX_UNDER_WAY = 262_144;

export interface Mix {
  label: string;
  /** Begins the load, which lasts until the process ends. */
  start: (port: number) => void;
}

const request = (method: string, path: string, body = '') =>
  Buffer.from(
    `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
      (body === ''
        ? ''
        : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`) +
      `\r\n${body}`,
  );

/** Keeps this many connections that send the same bytes repeatedly, as fast as they are read. */
function flood(port: number, connections: number, bytes: Buffer): void {
  const open = () => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS });
    const send = () => {
      while (socket.writable && socket.writableLength < MAX_UNDER_WAY && socket.write(bytes));
    };
    socket.on('connect', send);
    socket.on('drain', send);
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(open, REOPEN_MS));
  };
  for (let n = 0; n < connections; n++) open();
}

const repeated = (one: Buffer, bytes: number) =>
  Buffer.concat(Array<Buffer>(Math.max(1, Math.floor(bytes / one.length))).fill(one));

const NESTED = request(
  'POST',
  '/api/rooms/check',
  `{"joinid":"123456","client1":"x","x":${'['.repeat(32_000)}${']'.repeat(32_000)}}`,
);
const WIDE = request(
  'POST',
  '/api/rooms/check',
  `{"joinid":"123456","client1":"x","x":[${'1,'.repeat(32_000)}1]}`,
);
const LONG = request(
  'POST',
  '/api/rooms/check',
  `{"joinid":"123456","client1":"${'\\u00e9'.repeat(10_800)}"}`,
);
const idsOf = (count: number, id: string) =>
  request('POST', '/api/user/purge', JSON.stringify({ deviceIds: Array(count).fill(id) }));

const CANDIDATE = textFrame({
  type: 'ice_candidate',
  candidate: {
    candidate:
      'candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 10.0.0.17 rport 46154 generation 0 ufrag EsAw',
    sdpMid: '0',
    sdpMLineIndex: 0,
    usernameFragment: 'EsAw',
  },
});

/** Pairs that send as much as one connection may, in bursts of ten. */
function floodingPairs(port: number, pairs: number): void {
  const tenth = Buffer.concat(Array<Buffer>(10).fill(CANDIDATE));
  const sockets = new Set<Socket>();
  const open = (pair: number) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS });
    socket.write(openingHandshake('/', port));
    socket.once('data', () => {
      socket.write(textFrame({ type: 'join_room', roomId: `flood-${pair}` }));
      sockets.add(socket);
    });
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      setTimeout(open, REOPEN_MS * 10, pair);
    });
  };
  for (let n = 0; n < pairs * 2; n++) open(n >> 1);
  setInterval(() => {
    for (const socket of sockets) if (socket.writableLength < MAX_UNDER_WAY) socket.write(tenth);
  }, 100);
}

/** WebSockets that send the same frames repeatedly, as fast as they are read. */
function floodFrames(port: number, connections: number, frames: Buffer): void {
  const open = () => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS });
    const send = () => {
      while (socket.writable && socket.writableLength < MAX_UNDER_WAY && socket.write(frames));
    };
    socket.write(openingHandshake('/', port));
    socket.once('data', send);
    socket.on('drain', send);
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(open, REOPEN_MS));
  };
  for (let n = 0; n < connections; n++) open();
}

/** Opens connections, writes these bytes, and closes each once it is answered. */
function churn(port: number, connections: number, bytes: Buffer): void {
  const open = () => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS });
    socket.write(bytes);
    socket.once('data', () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => setImmediate(open));
  };
  for (let n = 0; n < connections; n++) open();
}

/** Opens connections and leaves them idle. */
function idle(port: number, connections: number): void {
  const open = () => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: ADDRESS });
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(open, 1000));
  };
  for (let n = 0; n < connections; n++) open();
}

const nestedJson = (port: number) => {
  flood(port, 8, NESTED);
  flood(port, 8, WIDE);
  flood(port, 8, LONG);
};
const pipelined = (port: number) => {
  flood(port, 16, repeated(request('GET', '/healthz'), 65_536));
  flood(port, 4, repeated(request('GET', '/metrics'), 65_536));
  flood(port, 4, repeated(Buffer.from('GET / HTTP/1.1\r\n\r\n'), 65_536));
};
const purges = (port: number) => {
  flood(port, 8, idsOf(1000, 'x'.repeat(2090)));
  flood(port, 8, idsOf(1000, 'x'.repeat(256)));
  flood(port, 4, idsOf(1000, 'é'.repeat(128)));
};

const signaling = (port: number) => {
  const inRoom = [
    textFrame({ type: 'join_room', roomId: 'one', deviceId: 'device' }),
    textFrame({ type: 'join_room', roomId: 'other' }),
    textFrame({ type: 'leave_room' }),
  ];
  floodFrames(port, 32, repeated(Buffer.concat(inRoom), 65_536));
  floodFrames(port, 32, repeated(clientFrame(TEXT, Buffer.from('{}')), 65_536));
  floodFrames(port, 32, repeated(clientFrame(PING, Buffer.alloc(0)), 65_536));
  floodFrames(port, 8, textFrame({ type: 'webrtc_offer', sdp: 'é'.repeat(100_000) }));
};
const connections = (port: number) => {
  churn(port, 64, Buffer.from(openingHandshake('/', port)));
  churn(port, 64, request('GET', '/healthz'));
  churn(port, 16, Buffer.from('no HTTP\r\n\r\n'));
};
const bodies = (port: number) => {
  const head = 'HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
  const chunks = `${'1\r\nx\r\n'.repeat(60_000)}0\r\n\r\n`;
  const chunked = `POST /api/rooms/check ${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`;
  flood(port, 16, Buffer.from(chunked));
  const endless = `POST /nowhere ${head}Content-Length: 100000000000\r\n\r\n`;
  flood(port, 16, Buffer.from(endless + 'x'.repeat(65_536)));
  const names = Array.from({ length: 700 }, (_, n) => `x-${n}: ${n}\r\n`).join('');
  flood(port, 16, Buffer.from(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n${names}\r\n`));
  flood(port, 8, repeated(request('GET', '/openapi.json'), 16_384));
  flood(port, 8, repeated(request('GET', '/client.js'), 16_384));
};

export const MIXES = {
  json: { label: '64 KB of nested, wide and escaped JSON', start: nestedJson },
  pairs: { label: '250 flooding pairs', start: (port) => floodingPairs(port, 250) },
  pipelined: { label: 'pipelined /healthz and /metrics', start: pipelined },
  purges: { label: 'purges of 2 MB and of 1000 long ids', start: purges },
  signaling: { label: 'WebSockets that join, leave, ping and err', start: signaling },
  connections: { label: 'connections and handshakes, opened and closed', start: connections },
  bodies: { label: 'bodies in tiny chunks, endless ones, and long headers', start: bodies },
  sockets: { label: '1000 idle sockets', start: (port) => idle(port, 1000) },
  together: {
    label: 'all of these together',
    start(port) {
      floodingPairs(port, 250);
      nestedJson(port);
      pipelined(port);
      purges(port);
      signaling(port);
      connections(port);
      bodies(port);
      idle(port, 1000);
    },
  },
} satisfies Record<string, Mix>;

export type MixName = keyof typeof MIXES;

/** The attacker yields to the healthy pair on the core that both load. */
export const yieldCore = (): void => setPriority(19);
