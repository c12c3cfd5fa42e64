// TCP proxies that can cut, in a process of their own: refuse, swallow, or reset. What was swallowed comes late.
//
// Of their own, since the clients of a run keep their process busy, and what they do must not make Redis slow.
// From the parent: { id, open: target } → { id, port }; { id, translate: port, ports }, { id, cut: port, how },
// { id, mend: port } → { id }.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

class FaultProxy {
  #server;
  #target;
  #ports;
  /** The two ends of each connection. */
  #pairs = new Set();
  /** Accepted while swallowing: nothing behind them yet. */
  #held = new Set();
  /** Whose other ends went meanwhile. */
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

  /** @param ports - what to write in the place of a port, where an answer says that a server is there */
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

  /** Resolves when connections are taken again. */
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
    // A reset is an end like any other.
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
        // The end is swallowed too, until the cut is mended.
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

  /** Answers come in whole lines in the end: only what follows the last line break is held back. */
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

  /** A Sentinel says it in a line of its own, CLUSTER SLOTS as a number, a redirection in an error. */
  #rewrite(line) {
    const [, before, port] = /^(:|-(?:MOVED|ASK) .*:)?(\d+)\r?$/.exec(line) ?? [];
    const other = this.#ports[port];
    return other === undefined ? line : `${before ?? ''}${other}\r`;
  }
}

const proxies = new Map();

process.on('message', async ({ id, open, translate, ports, cut, how, mend }) => {
  if (open) {
    const proxy = await FaultProxy.open(open);
    proxies.set(proxy.port, proxy);
    process.send({ id, port: proxy.port });
    return;
  }
  if (translate) proxies.get(translate).translate(ports);
  if (cut) proxies.get(cut).cut(how);
  if (mend) await proxies.get(mend).mend();
  process.send({ id });
});
// The parent process has ended.
process.on('disconnect', () => process.exit());
