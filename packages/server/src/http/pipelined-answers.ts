// Keeps answers in the order of their requests (RFC 9112 §9.3.2), including answers to upgrades and malformed bytes, which Node does not write.
import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const BEFORE = Symbol('the answer that was due before this one');
type Answer = ServerResponse & { [BEFORE]?: Answer | undefined };

/** The last unfinished answer of each socket. */
const due = new WeakMap<Duplex, Answer>();

/** Records the unfinished answers of each socket of a server, for {@link afterAnswers}. */
export function noteAnswers(server: Server): void {
  server.prependListener('request', ({ socket }, response: Answer) => {
    const before = due.get(socket);
    if (before !== undefined) response[BEFORE] = before;
    due.set(socket, response);
    response.once('close', forget);
  });
}

function forget(this: Answer): void {
  const { socket } = this.req;
  if (due.get(socket) === this) due.delete(socket);
  // Without this, a socket that always has an unfinished answer would keep all earlier ones in memory.
  this[BEFORE] = undefined;
}

/**
 * Calls `then` when all earlier requests of a socket are answered, unless the socket ends with one of the answers. Does
 * not wait for the answer to an incomplete request. `pipelined`: whether there were earlier requests.
 */
export function afterAnswers(socket: Duplex, then: (pipelined: boolean) => void): void {
  const newest = due.get(socket);
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
