// TCP proxies that refuse, swallow or reset. Swallowed data arrives when the proxy is mended.
//
// They run in a separate process, because the clients of a run keep their process busy, which must not slow Redis down.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

class FaultProxy {
  #server;
  #target;
  #ports;
  /** The two ends of each connection. */
  #pairs = new Set();
  /** Accepted while swallowing, and not connected yet. */
  #held = new Set();
  /** Sockets whose other ends closed meanwhile. */
  #orphans = new Set();
  #cut = null;

  constructor(server, target) {
    this.#server = server;
    this.#target = target;
    this.port = server.address().port;
    server.on('connection', (socket) => this.#accept(socket));
  }

  static async open(target) {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, target);
  }

  /** @param ports - a port in an answer of Redis → its replacement */
  translate(ports) {
    this.#ports = ports;
  }

  cut(how) {
    this.#cut = how;
    if (how === 'black-hole') {
      for (const [near, far] of this.#pairs) {
        near.unpipe();
        far.unpipe();
        near.pause();
        far.pause();
      }
      return;
    }
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
    if (how === 'refuse') this.#server.close();
  }

  /** Resolves when connections are accepted again. */
  async mend() {
    const before = this.#cut;
    this.#cut = null;
    if (before === 'refuse') {
      this.#server.listen(this.port, '127.0.0.1');
      await once(this.#server, 'listening');
    }
    if (before !== 'black-hole') return;
    for (const socket of this.#orphans) socket.destroy();
    this.#orphans.clear();
    for (const [near, far] of this.#pairs) this.#join(near, far);
    for (const socket of this.#held) this.#connect(socket);
    this.#held.clear();
  }

  #accept(socket) {
    // A close follows.
    socket.on('error', () => {});
    if (this.#cut === 'reset' || this.#cut === 'refuse') {
      socket.resetAndDestroy();
    } else if (this.#cut === 'black-hole') {
      this.#held.add(socket);
      socket.on('close', () => this.#held.delete(socket));
      socket.pause();
    } else {
      this.#connect(socket);
    }
  }

  #connect(near) {
    const far = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const pair = [near, far];
    this.#pairs.add(pair);
    far.on('error', () => near.resetAndDestroy());
    for (const [one, other] of [pair, [far, near]]) {
      one.on('close', () => {
        this.#pairs.delete(pair);
        // The close is swallowed too, until the proxy is mended.
        if (this.#cut === 'black-hole') this.#orphans.add(other);
        else other.destroy();
      });
    }
    if (this.#ports) this.#translate(far, near);
    this.#join(near, far);
  }

  #join(near, far) {
    near.pipe(far);
    if (this.#ports) far.resume();
    else far.pipe(near);
  }

  /** Data after the last line break waits for the rest of its line. */
  #translate(far, near) {
    let rest = '';
    far.setEncoding('latin1');
    far.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      const answer = lines.map((line) => `${this.#rewrite(line)}\n`).join('');
      near.write(Buffer.from(answer, 'latin1'));
    });
  }

  /** A Sentinel sends a port in a line, CLUSTER SLOTS as a number, a redirection in an error. */
  #rewrite(line) {
    const [, before, port] = /^(:|-(?:MOVED|ASK) .*:)?(\d+)\r?$/.exec(line) ?? [];
    const other = this.#ports[port];
    return other === undefined ? line : `${before ?? ''}${other}\r`;
  }
}

const proxies = new Map();

const orders = {
  async open(target) {
    const proxy = await FaultProxy.open(target);
    proxies.set(proxy.port, proxy);
    return proxy.port;
  },
  translate: (port, ports) => proxies.get(port).translate(ports),
  cut: (port, how) => proxies.get(port).cut(how),
  mend: (port) => proxies.get(port).mend(),
};

process.on('message', async ({ id, order, args }) => {
  process.send({ id, result: await orders[order](...args) });
});
// The parent process has ended.
process.on('disconnect', () => process.exit());
