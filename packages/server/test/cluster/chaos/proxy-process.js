// Forwards ports on loopback to the servers of a Redis, and replaces the ports of these servers in all answers.
//
// Its faults are signals. SIGKILL closes all connections and refuses others. SIGSTOP swallows data, which arrives after SIGCONT.
// SIGUSR2 resets all connections, and others as soon as they are accepted, until the next SIGUSR2.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Port of a server → port of its proxy. */
const ports = JSON.parse(process.argv[2]);
const sockets = new Set();
let isResetting = false;

/** A Sentinel sends a port in a line, CLUSTER SLOTS as a number, a redirection in an error. */
function rewrite(line) {
  const [, before, port] = /^(:|-(?:MOVED|ASK) .*:)?(\d+)\r?$/.exec(line) ?? [];
  return ports[port] === undefined ? line : `${before ?? ''}${ports[port]}\r`;
}

function forward(near, target) {
  near.on('error', () => {});
  if (isResetting) return near.resetAndDestroy();
  const far = connect({ port: target, host: '127.0.0.1', noDelay: true });
  far.on('error', () => near.resetAndDestroy());
  const ends = [near, far];
  for (const [n, socket] of ends.entries()) {
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      ends[1 - n].destroy();
    });
  }
  near.pipe(far);
  let rest = '';
  far.setEncoding('latin1').on('data', (text) => {
    // Data after the last line break waits for the rest of its line.
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    near.write(lines.map((line) => `${rewrite(line)}\n`).join(''), 'latin1');
  });
}

process.on('SIGUSR2', () => {
  isResetting = !isResetting;
  for (const socket of sockets) socket.resetAndDestroy();
});

for (const [target, port] of Object.entries(ports)) {
  const server = createServer({ noDelay: true }, (near) => forward(near, Number(target)));
  await once(server.listen(port, '127.0.0.1'), 'listening');
}
process.send('ready');
