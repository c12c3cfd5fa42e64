// Follows the time after a round of faults: which pairs have exchanged messages both ways that were sent since then.
import { type Event, isOfPair, type Part } from '../history.js';

export class Recovery {
  /** The end of the last fault. */
  readonly since: number;
  /** Pair → when the second of the two got its first message. */
  readonly served = new Map<number, number>();
  readonly #whoIs: (conn: number) => { pair: number; part: Part } | undefined;
  readonly #sent = new Set<string>();
  readonly #heard = new Set<string>();

  constructor(since: number, whoIs: (conn: number) => { pair: number; part: Part } | undefined) {
    this.since = since;
    this.#whoIs = whoIs;
  }

  take(event: Event): void {
    if (event.kind === 'sent') this.#sent.add(`${event.conn}/${event.n}`);
    if (event.kind !== 'frame' || !event.label) return;
    const { conn, n } = event.label;
    const [to, from] = [this.#whoIs(event.conn), this.#whoIs(conn)];
    if (!to || !from || !isOfPair(to) || !isOfPair(from) || to.pair !== from.pair) return;
    // A message from before the end of the last fault proves nothing.
    if (!this.#sent.has(`${conn}/${n}`)) return;
    this.#heard.add(`${to.part} ${to.pair}`);
    const haveBoth = ['creator', 'acceptor'].every((part) => this.#heard.has(`${part} ${to.pair}`));
    if (haveBoth && !this.served.has(to.pair)) this.served.set(to.pair, event.t);
  }
}
