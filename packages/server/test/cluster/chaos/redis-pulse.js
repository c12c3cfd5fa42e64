// Whether a server of Redis that is up answers at once. Where it does not, its disk or the machine stands still.
import { connect } from 'node:net';

const TICK_MS = 100;
/** Half of what a node waits for replicas, and a quarter of what it waits for an answer. */
const STALL_MS = 500;

/**
 * Asks the server at a port again and again, until `end`. Calls `onStall` with how long an answer took that came late, or
 * had not come when the server was gone. `answered` resolves when it has answered for the first time.
 */
export function watchPulse(port, onStall) {
  let socket;
  let redial;
  let askedAt;
  let resolveAnswered;
  const answered = new Promise((resolve) => {
    resolveAnswered = resolve;
  });
  const settle = () => {
    const tookMs = askedAt === undefined ? 0 : performance.now() - askedAt;
    askedAt = undefined;
    if (tookMs > STALL_MS) onStall(tookMs);
  };
  const dial = () => {
    socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('data', () => {
      settle();
      resolveAnswered();
    });
    // One that was ended on purpose comes back.
    socket.on('error', () => {});
    socket.on('close', () => {
      settle();
      redial = setTimeout(dial, TICK_MS);
    });
  };
  dial();
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const isLate = now - last > 2 * TICK_MS;
    last = now;
    // This process was late itself: an answer may have waited to be read.
    if (isLate && askedAt !== undefined) askedAt = now;
    if (socket.readyState !== 'open' || askedAt !== undefined) return;
    askedAt = now;
    socket.write('PING\r\n');
  }, TICK_MS);
  return {
    answered,
    end() {
      clearInterval(timer);
      socket.removeAllListeners('close');
      socket.destroy();
      clearTimeout(redial);
    },
  };
}
