// Answers in the order of their requests (RFC 9112 §9.3.2), also those that Node's HTTP server does not write: to upgrades, and to bytes that are no request.
import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const BEFORE = Symbol('the answer that was due before this one');
type Answer = ServerResponse & { [BEFORE]?: Answer | undefined };

/** The last answer that is due on each socket. */
const due = new WeakMap<Duplex, Answer>();

/** Notes the answers that are due on the sockets of a server, for {@link afterAnswers}. */
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
  // Or a socket that always has an answer due would keep all that it ever had.
  this[BEFORE] = undefined;
}

/**
 * Calls back when all earlier requests of a socket are answered, unless the socket ends with one of the answers. Of a
 * request that has not come whole no answer is waited for. `pipelined`: there were earlier requests.
 */
export function afterAnswers(socket: Duplex, then: (pipelined: boolean) => void): void {
  const newest = due.get(socket);
  const last = newest?.req.complete === false ? newest[BEFORE] : newest;
  if (last === undefined || last.destroyed) {
    then(false);
    return;
  }
  // With an upgrade, Node takes its own listener away.
  socket.on('error', drop);
  last.once('close', () => {
    // An error of the socket may be on its way: it is listened to until somebody else does.
    if (!socket.writable) return void socket.destroy();
    then(true);
    socket.off('error', drop);
  });
}

function drop(this: Duplex): void {
  this.destroy();
}
