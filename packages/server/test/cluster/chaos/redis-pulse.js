// Whether a server of Redis that is up answers at once. Where it does not, its disk or the machine stands still.
import { connect } from 'node:net';

const TICK_MS = 100;
/** Half of what a node waits for replicas, and a quarter of what it waits for an answer. */
const STALL_MS = 500;

/**
 * Asks the server at a port for as long as this process lives, and calls `onStall` with how long a late answer took.
 * Resolves when it has answered for the first time.
 */
export function watchPulse(port, onStall) {
  let socket;
  let askedAt;
  let answered;
  const first = new Promise((resolve) => {
    answered = resolve;
  });
  const dial = () => {
    askedAt = undefined;
    socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('data', () => {
      const tookMs = askedAt === undefined ? 0 : performance.now() - askedAt;
      askedAt = undefined;
      answered();
      if (tookMs > STALL_MS) onStall(tookMs);
    });
    // One that was ended on purpose is down, and comes back.
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(dial, TICK_MS));
  };
  dial();
  setInterval(() => {
    if (socket.readyState !== 'open' || askedAt !== undefined) return;
    askedAt = performance.now();
    socket.write('PING\r\n');
  }, TICK_MS);
  return first;
}
