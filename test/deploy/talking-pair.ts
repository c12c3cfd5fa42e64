// Two devices with the client's own signaling, which talk all the time: how long they were apart, and whether order was kept.
import WebSocket from 'ws';
import {
  SignalingClient,
  type SocketConstructor,
} from '../../packages/client/src/signaling/signaling-client.js';

/** A time in which the two could not talk. */
export interface Parting {
  /** From the first that is heard of it, at either end, until both have `room_ready`. */
  apartMs: number;
  /** How much of that time neither client was on its way back, which is from its `down` until it has joined. */
  idleMs: number;
}

const TALK_EVERY_MS = 50;

const HINTED = WebSocket as unknown as SocketConstructor;

/** Connects without the room hint, as other clients do. */
export const UNHINTED = class extends WebSocket {
  constructor(address: string) {
    super(address.replace(/\?.*/, ''));
  }
} as unknown as SocketConstructor;

export class TalkingPair {
  readonly partings: Parting[] = [];
  /** Messages that arrived. */
  received = 0;
  /** What must not be: a message after a later one, twice, or an end that is final. */
  readonly faults: string[] = [];
  readonly #clients: SignalingClient[];
  readonly #isReady = [false, false];
  readonly #talk: NodeJS.Timeout;
  #wasTogether = false;
  #apartSince: number | undefined;
  /** Clients on their way back. */
  readonly #away = new Set<number>();
  #idleMs = 0;
  #seenAt = 0;
  #next = 0;

  constructor(
    url: string,
    roomId: string,
    devices: readonly [string, string],
    readonly socket = HINTED,
  ) {
    this.#clients = devices.map((deviceId, n) => this.#client(n, { url, roomId, deviceId }));
    this.#talk = setInterval(() => this.#say(), TALK_EVERY_MS);
  }

  get isTogether(): boolean {
    return this.#isReady.every(Boolean);
  }

  close(): void {
    clearInterval(this.#talk);
    for (const client of this.#clients) client.close();
  }

  #client(n: number, options: { url: string; roomId: string; deviceId: string }): SignalingClient {
    const client = new SignalingClient({ ...options, WebSocket: this.socket });
    let last = -1;
    client.on('down', () => this.#turn(n, false, () => this.#away.add(n)));
    client.on('joined', () => this.#turn(n, false, () => this.#away.delete(n)));
    client.on('ready', () => this.#turn(n, true));
    client.on('end', (error) => this.faults.push(`ended: ${error.code}`));
    client.on('forwarded', (message) => {
      const number = Number('sdp' in message ? message.sdp.split('=')[1] : Number.NaN);
      if (!(number > last)) this.faults.push(`${number} came after ${last}`);
      last = number;
      this.received += 1;
    });
    return client;
  }

  /** A client has news; `change` says who is on its way back from now on. */
  #turn(n: number, isReady: boolean, change: () => void = () => {}): void {
    const now = performance.now();
    if (this.#apartSince !== undefined && this.#away.size === 0) this.#idleMs += now - this.#seenAt;
    this.#seenAt = now;
    change();
    this.#isReady[n] = isReady;
    if (!this.isTogether) {
      if (this.#wasTogether) this.#apartSince ??= now;
      return;
    }
    this.#wasTogether = true;
    if (this.#apartSince === undefined) return;
    this.partings.push({ apartMs: now - this.#apartSince, idleMs: this.#idleMs });
    this.#apartSince = undefined;
    this.#idleMs = 0;
  }

  #say(): void {
    if (!this.isTogether) return;
    for (const client of this.#clients) {
      client.send({ type: 'webrtc_offer', sdp: `n=${this.#next++}` });
    }
  }
}
