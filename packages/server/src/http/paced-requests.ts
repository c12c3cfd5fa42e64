// Limits HTTP to the budget of an address: bytes reach the parser piece by piece, and requests reach their routes one by one.
//
//   socket ──► kept ──► piece of 4 KiB ──► Node's parser ──► queue ──► one request at a time ──► route, or 429
//
// Node parses all bytes of one read, and calls back for each request in them, in the same turn of the event loop. 64 KiB
// can contain 3,600 pipelined requests. Therefore a parser gets the next piece when the requests of the last piece are
// answered, and no bytes while the address is held.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { type AddressBudget, COST } from '../limits/address-budget.js';
import { addressKey, clientAddress } from './client-address.js';
import { ANSWER_HEADERS } from './errors.js';
import type { HttpServices } from './services.js';

/** Large enough for a request with its header, and small enough that a piece full of requests is parsed quickly. */
const PIECE_BYTES = 4096;

/** Assumed size of a chunked request on a socket that many clients share, in bytes. */
const SHARED_HEAD_BYTES = 512;

const READER = Symbol('reader');
const BUDGET = Symbol('budget');

type PacedSocket = Socket & { [READER]?: PacedReader | undefined };
type Charged = IncomingMessage & { [BUDGET]?: AddressBudget };
type DataListener = (this: Socket, data: Buffer) => void;
type Serve = (request: IncomingMessage, response: ServerResponse) => void;

/** The budget of a request; undefined if it did not arrive over a socket. */
export const budgetOf = (request: IncomingMessage): AddressBudget | undefined =>
  (request as Charged)[BUDGET];

/** The key under which limits count the address of a request. */
export const requestAddress = (request: FastifyRequest): string =>
  budgetOf(request.raw)?.address ?? addressKey(request.ip);

/** Marks the bytes of a socket as malformed. Later bytes are not parsed. */
export const failSocket = (socket: object): void => (socket as PacedSocket)[READER]?.fail();

/** Reads one socket for Node's parser. */
class PacedReader {
  readonly budget: AddressBudget;
  /** Size of the last piece that the parser got, in bytes. */
  pieceBytes = 0;
  readonly #socket: PacedSocket;
  readonly #parse: DataListener;
  #kept: Buffer | undefined;
  #queue: (() => void)[] = [];
  #isAnswering = false;
  #isWaiting = false;
  #isFeeding = false;
  #isPaused = false;
  #isChunked = false;
  #hasFailed = false;

  constructor(socket: PacedSocket, parse: DataListener, budget: AddressBudget) {
    this.#socket = socket;
    this.#parse = parse;
    this.budget = budget;
  }

  receive(read: Buffer): void {
    this.budget.charge(COST.read);
    if (this.#hasFailed) return;
    // Node itself may have resumed the socket to read a body.
    this.#kept = this.#kept === undefined ? read : Buffer.concat([this.#kept, read]);
    this.feed();
  }

  /** Serves the request now, or after the requests before it are answered. */
  enqueue(serve: () => void, response: ServerResponse): void {
    const start = () => {
      this.#isAnswering = true;
      this.#isChunked = isChunked(response.req);
      response.once('close', () => this.#answered());
      serve();
    };
    if (this.#isAnswering || this.#queue.length > 0 || this.budget.held) {
      this.#queue.push(start);
      if (!this.#isAnswering) this.#wait();
    } else start();
  }

  /** Continues when the budget allows it. */
  release(): void {
    this.#isWaiting = false;
    if (this.#isOver()) return;
    if (!this.#isAnswering) this.#queue.shift()?.();
    this.feed();
  }

  /** Passes on the next request although the budget is used up, so that it is refused. */
  refuse(): boolean {
    if (this.#isOver()) return true;
    if (this.#isAnswering) return false;
    // The next request may be in bytes that are not parsed yet.
    if (this.#queue.length === 0) this.#feedPiece();
    const next = this.#queue.shift();
    if (next === undefined) return false;
    this.#isWaiting = false;
    next();
    return true;
  }

  /** Passes pieces to the parser while there are any and the budget allows it. */
  feed(): void {
    if (this.#isFeeding || this.#isOver()) return;
    this.#isFeeding = true;
    if (this.#isPaused && this.#mayFeed()) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    while (this.#kept !== undefined && this.#mayFeed()) this.#feedPiece();
    this.#isFeeding = false;
    if (this.#kept === undefined) return;
    this.#isPaused = true;
    this.#socket.pause();
    if (this.budget.held) this.#wait();
  }

  #feedPiece(): void {
    const kept = this.#kept;
    if (kept === undefined || this.#isOver() || this.#socket.writableNeedDrain) return;
    const isLast = kept.length <= PIECE_BYTES;
    this.pieceBytes = Math.min(kept.length, PIECE_BYTES);
    if (this.#isAnswering && this.#isChunked)
      this.budget.charge(this.pieceBytes * COST.chunkedByte);
    this.#kept = isLast ? undefined : kept.subarray(PIECE_BYTES);
    this.#parse.call(this.#socket, isLast ? kept : kept.subarray(0, PIECE_BYTES));
  }

  fail(): void {
    this.budget.charge(COST.malformed);
    this.#hasFailed = true;
    this.#kept = undefined;
  }

  /**
   * Releases the socket to a WebSocket or another parser. Bytes that were not parsed can be read again. Parsed requests
   * are still served.
   */
  detach(): void {
    this.#socket.off('data', onData).off('drain', onDrain);
    // Deleting the property would make every later access to the socket slower.
    this.#socket[READER] = undefined;
    if (this.#kept !== undefined) this.#socket.unshift(this.#kept);
    this.#kept = undefined;
  }

  /** Whether the parser may get bytes: no request is queued, and no answer waits for the client to read. */
  #mayFeed(): boolean {
    const { budget } = this;
    return !budget.held && this.#queue.length === 0 && !this.#socket.writableNeedDrain;
  }

  /**
   * Whether reading has ended because the last answer was written or the socket is destroyed. Node then gives the parser
   * to another socket, so it must get no further bytes of this one.
   */
  #isOver(): boolean {
    const isOver = this.#socket.destroyed || this.#socket.writableEnded;
    if (isOver) {
      this.#kept = undefined;
      this.#queue = [];
    }
    return isOver;
  }

  #answered(): void {
    this.#isAnswering = false;
    if (this.#isOver()) return;
    if (this.#queue.length > 0 || this.#kept !== undefined) this.#wait();
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.budget.wait(this, this.#isAnswering);
  }
}

function onData(this: PacedSocket, read: Buffer): void {
  this[READER]?.receive(read);
}

function onDrain(this: PacedSocket): void {
  this[READER]?.feed();
}

/**
 * Replaces Node's parser as the reader of a new socket.
 *
 * @param budget - budget of the remote address
 */
export function paceSocket(socket: PacedSocket, budget: AddressBudget): void {
  const listeners = socket.listeners('data');
  // Another number of listeners means an unknown version of Node. The socket then stays unchanged.
  if (listeners.length !== 1) return;
  const parse = listeners[0] as DataListener;
  socket[READER] = new PacedReader(socket, parse, budget);
  socket.off('data', parse).on('data', onData).on('drain', onDrain);
}

/** Releases a socket for an upgrade. */
export function unpaceSocket(socket: object): void {
  (socket as PacedSocket)[READER]?.detach();
}

/**
 * Charges every request of a server to the budget of its address before any other work.
 *
 * @param direct - serves a request, or returns false if the listeners of the server must serve it
 */
export function paceRequests(
  server: Server,
  { budgets, trust, corsHeaders }: HttpServices,
  direct: (request: IncomingMessage, response: ServerResponse) => boolean,
): void {
  const routes = server.listeners('request') as Serve[];
  server.removeAllListeners('request');

  const refuse = (request: IncomingMessage, response: ServerResponse, isShared: boolean) => {
    budgets.refused += 1;
    response.writeHead(429, {
      // A page needs them to read the refusal.
      ...corsHeaders(request.headers.origin),
      ...REFUSAL_HEADERS,
      // Other clients share the connection of a proxy, so it stays open.
      ...(isShared ? {} : { connection: 'close' }),
    });
    response.end(REFUSAL);
  };

  server.on('request', (request: Charged, response: ServerResponse) => {
    const reader = (request.socket as PacedSocket)[READER];
    const budget = reader?.budget ?? budgets.of(addressKey(clientAddress(request, trust)));
    request[BUDGET] = budget;
    budget.charge(COST.parsed + request.rawHeaders.length * COST.headerPart);
    const headBytes = reader?.pieceBytes ?? SHARED_HEAD_BYTES;
    const serve = () => {
      if (budget.exhausted) return refuse(request, response, reader === undefined);
      const bodyBytes = Number(request.headers['content-length'] ?? 0);
      budget.charge(
        COST.request +
          // For a chunked request, charges the bytes in the piece of its header. Later bytes are charged on arrival.
          (isChunked(request) ? headBytes * COST.chunkedByte : bodyBytes * COST.bodyByte),
      );
      if (direct(request, response)) return;
      for (const route of routes) route.call(server, request, response);
    };
    if (reader === undefined) serve();
    else reader.enqueue(serve, response);
  });
}

const isChunked = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined;

const REFUSAL = JSON.stringify({ error: 'rate_limited' });
const REFUSAL_HEADERS = {
  ...ANSWER_HEADERS,
  'content-type': 'application/json; charset=utf-8',
  'content-length': String(REFUSAL.length),
  'retry-after': '1',
};
