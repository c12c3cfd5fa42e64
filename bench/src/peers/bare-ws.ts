// A minimal server on `ws`: forwards between the two connections of a pair, without checks. CORK=1: one write per turn.
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { endWithConductor, listen } from './http-peer.js';

interface Seat {
  socket: WebSocket;
  stream: Duplex;
  corked: boolean;
  peer: Seat | undefined;
}

const corks = process.env.CORK === '1';
const http = createServer((_request, response) => response.end('bare\n'));
const server = new WebSocketServer({ server: http, clientTracking: false });
const waiting = new Map<string, Seat>();
let held: Seat[] = [];

server.on('connection', (socket, request) => {
  const seat: Seat = { socket, stream: request.socket, corked: false, peer: undefined };
  const pair = new URLSearchParams(request.url?.slice(2)).get('pair') ?? '';
  const other = waiting.get(pair);
  if (other === undefined) waiting.set(pair, seat);
  else {
    waiting.delete(pair);
    seat.peer = other;
    other.peer = seat;
  }
  socket.on('message', (data: Buffer) => {
    const { peer } = seat;
    if (peer === undefined) return;
    if (corks && !peer.corked) hold(peer);
    peer.socket.send(data, { binary: false });
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    if (seat.peer === undefined) waiting.delete(pair);
    else seat.peer.peer = undefined;
  });
});

function hold(seat: Seat): void {
  seat.corked = true;
  seat.stream.cork();
  if (held.push(seat) === 1) setImmediate(release);
}

function release(): void {
  const seats = held;
  held = [];
  for (const seat of seats) {
    seat.corked = false;
    seat.stream.uncork();
  }
}

endWithConductor();
listen(http);
