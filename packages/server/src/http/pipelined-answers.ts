// Keeps answers in the order of their requests (RFC 9112 §9.3.2), including answers to upgrades and malformed bytes, which Node does not write.
import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const BEFORE = Symbol('the answer that was due before this one');
type Answer = ServerResponse & { [BEFORE]?: Answer | undefined };

/** The last unfinished answer of a socket. A property, because an entry of a WeakMap costs more for each request. */
const DUE = Symbol('the last answer that is due');
type Answering = Duplex & { [DUE]?: Answer | undefined };

/** Records the unfinished answers of each socket of a server, for {@link afterAnswers}. */
export function noteAnswers(server: Server): void {
  server.prependListener('request', ({ socket }, response: Answer) => {
    const answering: Answering = socket;
    const before = answering[DUE];
    if (before !== undefined) response[BEFORE] = before;
    answering[DUE] = response;
    response.once('close', forget);
  });
}

function forget(this: Answer): void {
  const socket: Answering = this.req.socket;
  if (socket[DUE] === this) socket[DUE] = undefined;
  // Without this, a socket that always has an unfinished answer would keep all earlier ones in memory.
  this[BEFORE] = undefined;
}

/**
 * Calls `then` when all earlier requests of a socket are answered, unless the socket ends with one of the answers. Does
 * not wait for the answer to an incomplete request. `pipelined`: whether there were earlier requests.
 */
export function afterAnswers(socket: Duplex, then: (pipelined: boolean) => void): void {
  const newest = (socket as Answering)[DUE];
  const last = newest?.req.complete === false ? newest[BEFORE] : newest;
  if (last === undefined || last.destroyed) {
    then(false);
    return;
  }
  // For an upgrade, Node removes its own error listener.
  socket.on('error', drop);
  last.once('close', () => {
    // The socket may still emit an error, so this listener stays until `then` has added another one.
    if (!socket.writable) return void socket.destroy();
    then(true);
    socket.off('error', drop);
  });
}

function drop(this: Duplex): void {
  this.destroy();
}
