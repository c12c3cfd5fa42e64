// Limits the TCP connections of the HTTP server, in total and per address, and closes unused ones at a shutdown.
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { systemClock } from '../base/clock.js';
import { type AddressBudget, COST } from '../limits/address-budget.js';
import { addressKey } from './client-address.js';
import { endRawResponse, RETRY_AFTER_SECONDS } from './errors.js';
import { paceSocket, unpaceSocket } from './paced-requests.js';
import type { HttpServices } from './services.js';

/** Above this part of the possible connections, idle connections are closed early. */
const CROWDED = 0.8;
/** Above this part, they are closed at once. */
const FULL = 0.95;

/** How long an idle connection is kept above {@link CROWDED}, in milliseconds. */
const CROWDED_KEEP_ALIVE_MS = 2000;

/** Shortest time between two log lines about missing file descriptors, in milliseconds. */
const LOG_EVERY_MS = 60_000;

/**
 * Accepts TCP connections up to the limits, and refuses others with 503 before reading from them. Returns a function that
 * ends the connections without any request. Browsers open such connections in advance, and Node treats them as busy, so
 * closing the server would wait for them.
 */
export function limitSockets(server: Server, services: HttpServices): () => void {
  const { config, budgets, trust, metrics, log } = services;
  const openFiles = openFilesLimit();
  const files = openFiles === undefined ? Number.POSITIVE_INFINITY : filesForSockets(openFiles);
  const most = Math.min(config.maxSockets, files);
  if (files < config.maxSockets) {
    const facts = { maxSockets: config.maxSockets, openFiles, served: most };
    if (config.production) {
      log.warn(
        facts,
        'MAX_SOCKETS is more than this process may open: raise the limit of open files (LimitNOFILE= of systemd, --ulimit nofile= of docker, ulimit -n), or lower MAX_SOCKETS',
      );
    } else {
      // The limit suffices for a trial, and the first output of a start should not look like a fault.
      log.info(facts, 'fewer connections than MAX_SOCKETS, because of the limit of open files');
    }
  }
  const open = new Map<Socket, AddressBudget | undefined>();
  const refused = metrics.counter(
    'couplet_sockets_refused_total',
    'TCP connections refused: MAX_SOCKETS reached (total), MAX_SOCKETS_PER_ADDRESS reached (address), an address far beyond MAX_LOAD_PER_ADDRESS (budget), or the process out of file descriptors (open_files).',
    'cause',
    ['total', 'address', 'budget', 'open_files'],
  );
  const keepAliveMs = server.keepAliveTimeout;
  let loggedAt = Number.NEGATIVE_INFINITY;

  const outOfFiles = (error?: NodeJS.ErrnoException) => {
    refused.open_files += 1;
    const now = systemClock.monotonic();
    if (now - loggedAt < LOG_EVERY_MS) return;
    loggedAt = now;
    log.error(
      { openFiles, code: error?.code, sockets: open.size },
      'out of file descriptors: TCP connections are refused. Raise the limit of open files, or lower MAX_SOCKETS',
    );
  };

  /** Closes idle connections early near the limit, because their clients can open them again. */
  const makeRoom = () => {
    server.keepAliveTimeout = open.size < most * CROWDED ? keepAliveMs : CROWDED_KEEP_ALIVE_MS;
    if (open.size >= most * FULL) server.closeIdleConnections();
  };

  /** One function for all sockets, because a closure per socket would take memory as long as the socket lives. */
  function onClose(this: Socket): void {
    const budget = open.get(this);
    if (budget !== undefined) budget.sockets -= 1;
    open.delete(this);
    if (server.keepAliveTimeout !== keepAliveMs) makeRoom();
  }

  const refusalCause = (budget: AddressBudget | undefined): keyof typeof refused | undefined => {
    if (open.size > most) return files < config.maxSockets ? 'open_files' : 'total';
    if (budget === undefined) return undefined;
    if (budget.sockets > config.maxSocketsPerAddress) return 'address';
    return budget.inDebt ? 'budget' : undefined;
  };

  const refuse = (socket: Socket, cause: keyof typeof refused) => {
    if (cause === 'open_files') outOfFiles();
    else refused[cause] += 1;
    // An address in debt gets no answer, because answers caused the debt.
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
    // A socket that was returned after an ignored upgrade arrives a second time.
    if (open.has(socket)) return serve(open.get(socket));
    const { remoteAddress = '' } = socket;
    // Many clients share the connection of a trusted proxy, so their addresses are counted per request.
    const budget = trust(remoteAddress, 0) ? undefined : budgets.of(addressKey(remoteAddress));
    open.set(socket, budget);
    if (budget !== undefined) budget.sockets += 1;
    socket.on('close', onClose);
    budget?.charge(COST.connection);
    if (open.size >= most * CROWDED) makeRoom();
    const cause = refusalCause(budget);
    if (cause === undefined) return serve(budget);
    // Reads and discards the data: closing a socket with unread bytes could lose the answer.
    socket.on('error', () => socket.destroy()).resume();
    refuse(socket, cause);
  });
  server.prependListener('upgrade', (_request, stream) => unpaceSocket(stream));
  // Without a listener, a failed accept would end the process.
  server.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EMFILE' || error.code === 'ENFILE') outOfFiles(error);
    else if (server.listening) log.error({ code: error.code }, 'a TCP connection was not accepted');
  });

  metrics.level('couplet_sockets', 'TCP connections open now.', () => open.size);
  return () => {
    for (const socket of open.keys()) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  };
}

/** Files reserved for the database, Redis, the log and Node itself. */
const FILES_FOR_OTHERS = 64;

/**
 * Returns the soft limit of open files, which Node raises to the hard limit at its start; undefined if the system has no
 * `/proc`.
 */
export function openFilesLimit(path = '/proc/self/limits'): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // The system is not Linux, or /proc is not mounted. The limit is then unknown and bounds nothing.
    return undefined;
  }
}

/** Returns how many of the open files may be client sockets. */
export const filesForSockets = (openFiles: number): number =>
  Math.max(openFiles - FILES_FOR_OTHERS, Math.ceil(openFiles / 2));
