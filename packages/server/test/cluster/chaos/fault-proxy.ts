// A TCP proxy that can cut: refuse, swallow, or reset. What was swallowed comes late, as after any partition of a network.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Cut } from './schedule.js';

export class FaultProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #target: number;
  readonly #rewrite: ((line: string) => string) | undefined;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** Accepted while swallowing: nothing behind them yet. */
  readonly #held = new Set<Socket>();
  /** Whose other ends went meanwhile. */
  readonly #orphans = new Set<Socket>();
  #cut: Cut | null = null;

  private constructor(server: Server, target: number, rewrite?: (line: string) => string) {
    this.#server = server;
    this.#target = target;
    this.#rewrite = rewrite;
    this.port = (server.address() as { port: number }).port;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /**
   * @param target - the port on loopback that it leads to
   * @param rewrite - changes each line of the answers, such as the addresses that a Sentinel tells
   */
  static async open(target: number, rewrite?: (line: string) => string): Promise<FaultProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultProxy(server, target, rewrite);
  }

  cut(how: Cut): void {
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

  mend(): void {
    const before = this.#cut;
    this.#cut = null;
    if (before === 'refuse') this.#server.listen(this.port, '127.0.0.1');
    if (before !== 'black-hole') return;
    for (const socket of this.#orphans) socket.destroy();
    this.#orphans.clear();
    for (const [near, far] of this.#pairs) this.#join(near, far);
    for (const socket of this.#held) this.#connect(socket);
    this.#held.clear();
  }

  close(): void {
    this.#server.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    for (const socket of [...this.#held, ...this.#orphans]) socket.destroy();
  }

  #accept(socket: Socket): void {
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

  #connect(near: Socket): void {
    const far = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    far.on('error', () => near.resetAndDestroy());
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('close', () => {
        this.#pairs.delete(pair);
        // The end is swallowed too, until the cut is mended.
        if (this.#cut === 'black-hole') this.#orphans.add(other);
        else other.destroy();
      });
    }
    if (this.#rewrite) this.#translate(far, near, this.#rewrite);
    this.#join(near, far);
  }

  #join(near: Socket, far: Socket): void {
    near.pipe(far);
    if (this.#rewrite) far.resume();
    else far.pipe(near);
  }

  /** Answers come in whole lines in the end: only what follows the last line break is held back. */
  #translate(far: Socket, near: Socket, rewrite: (line: string) => string): void {
    let rest = '';
    far.setEncoding('latin1');
    far.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      const answer = lines.map((line) => `${rewrite(line)}\n`).join('');
      near.write(Buffer.from(answer, 'latin1'));
    });
  }
}
