// The TCP connections of the HTTP server: how many there may be, from one address and at all; and no shutdown waits for an idle one.
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.js';
import type { AddressBudget, AddressBudgets } from '../limits/address-budget.js';
import { COST } from '../limits/address-budget.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import type { Config } from '../settings/config.js';
import { addressKey, type TrustProxy } from './client-address.js';
import { endRawResponse, RETRY_AFTER_SECONDS } from './errors.js';
import { filesForSockets, openFilesLimit } from './file-descriptors.js';
import { paceSocket, unpaceSocket } from './paced-requests.js';

/** Part of the possible connections from which on idle ones are soon closed, and part from which on at once. */
const CROWDED = 0.8;
const FULL = 0.95;

/** How long an idle connection is kept in a crowd, in milliseconds. */
const CROWDED_KEEP_ALIVE_MS = 2000;

/** A process that has run out of files says so once in so many milliseconds. */
const LOG_EVERY_MS = 60_000;

export interface SocketDeps {
  config: Pick<Config, 'maxSockets' | 'maxSocketsPerAddress'>;
  budgets: AddressBudgets;
  trust: TrustProxy;
  clock: Pick<Clock, 'monotonic'>;
  metrics: Metrics;
  log: Logger;
  /** How many files the process may have open. */
  openFiles?: number | undefined;
}

/**
 * Admits TCP connections, and turns away those beyond the limits with a 503 before a byte of theirs is read. Returns how
 * to end those on which nothing was ever asked: browsers open some to spare, and Node takes one for busy until its first
 * request, so that closing the server would wait for them.
 */
export function limitSockets(server: Server, deps: SocketDeps): () => void {
  const { config, budgets, trust, clock, metrics, log, openFiles = openFilesLimit() } = deps;
  const files = openFiles === undefined ? Number.POSITIVE_INFINITY : filesForSockets(openFiles);
  const most = Math.min(config.maxSockets, files);
  if (files < config.maxSockets) {
    log.warn(
      { maxSockets: config.maxSockets, openFiles, served: most },
      'MAX_SOCKETS is more than this process may open: raise its limit of open files (LimitNOFILE= of systemd, --ulimit nofile= of docker, ulimit -n), or lower MAX_SOCKETS',
    );
  }
  const open = new Map<Socket, AddressBudget | undefined>();
  const refused = { total: 0, address: 0, budget: 0, open_files: 0 };
  const keepAliveMs = server.keepAliveTimeout;
  let toldAt = Number.NEGATIVE_INFINITY;

  const outOfFiles = (error?: NodeJS.ErrnoException) => {
    refused.open_files += 1;
    const now = clock.monotonic();
    if (now - toldAt < LOG_EVERY_MS) return;
    toldAt = now;
    log.error(
      { openFiles, code: error?.code, sockets: open.size },
      'out of file descriptors: TCP connections are turned away. Raise the limit of open files, or lower MAX_SOCKETS',
    );
  };

  /** Makes room where there is little: an idle connection can be opened again, one that is in use cannot. */
  const makeRoom = () => {
    server.keepAliveTimeout = open.size < most * CROWDED ? keepAliveMs : CROWDED_KEEP_ALIVE_MS;
    if (open.size >= most * FULL) server.closeIdleConnections();
  };

  /** One for all: a function of its own would live as long as each socket. */
  function onClose(this: Socket): void {
    const budget = open.get(this);
    if (budget !== undefined) budget.sockets -= 1;
    open.delete(this);
    if (server.keepAliveTimeout !== keepAliveMs) makeRoom();
  }

  const objection = (budget: AddressBudget | undefined): keyof typeof refused | undefined => {
    if (open.size > most) return files < config.maxSockets ? 'open_files' : 'total';
    if (budget === undefined) return undefined;
    if (budget.sockets > config.maxSocketsPerAddress) return 'address';
    return budget.inDebt ? 'budget' : undefined;
  };

  const turnAway = (socket: Socket, cause: keyof typeof refused) => {
    if (cause === 'open_files') outOfFiles();
    else refused[cause] += 1;
    // Not even an answer for an address in debt: answers were what it is in debt for.
    if (cause === 'budget') socket.destroy();
    else endRawResponse(socket, 'unavailable', { 'retry-after': String(RETRY_AFTER_SECONDS) });
  };

  const listeners = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const serve = (budget: AddressBudget | undefined) => {
      for (const listener of listeners) listener.call(server, socket);
      if (budget !== undefined) paceSocket(socket, budget);
    };
    // A socket that was given back after an ignored upgrade comes a second time.
    if (open.has(socket)) return serve(open.get(socket));
    const { remoteAddress = '' } = socket;
    // Behind a trusted proxy are any number of clients: their addresses are counted request by request.
    const budget = trust(remoteAddress, 0) ? undefined : budgets.of(addressKey(remoteAddress));
    open.set(socket, budget);
    if (budget !== undefined) budget.sockets += 1;
    socket.on('close', onClose);
    budget?.charge(COST.connection);
    if (open.size >= most * CROWDED) makeRoom();
    const cause = objection(budget);
    if (cause === undefined) return serve(budget);
    // What it sent is thrown away: closed with bytes unread, it might lose the answer.
    socket.on('error', () => socket.destroy()).resume();
    turnAway(socket, cause);
  });
  server.prependListener('upgrade', (_request, stream) => unpaceSocket(stream));
  // Without a listener, an accept that fails would end the process.
  server.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EMFILE' || error.code === 'ENFILE') outOfFiles(error);
    else if (server.listening) log.error({ code: error.code }, 'a TCP connection was not accepted');
  });

  metrics.level('couplet_sockets', 'TCP connections open now.', () => open.size);
  metrics.counts(
    'couplet_sockets_refused_total',
    'TCP connections turned away: MAX_SOCKETS reached (total), MAX_SOCKETS_PER_ADDRESS reached (address), an address far beyond MAX_LOAD_PER_ADDRESS (budget), or the process out of file descriptors (open_files).',
    'cause',
    () => refused,
  );
  return () => {
    for (const socket of open.keys()) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  };
}
