// Two devices with the client SDK's signaling that exchange messages all the time. Records interruptions and order.
import WebSocket from 'ws';
import {
  SignalingClient,
  type SocketConstructor,
} from '../../packages/client/src/signaling/signaling-client.js';

const TALK_EVERY_MS = 50;

const HINTED = WebSocket as unknown as SocketConstructor;

/** Connects without the room hint, as other clients do. */
export const UNHINTED = class extends WebSocket {
  constructor(address: string) {
    super(address.replace(/\?.*/, ''));
  }
} as unknown as SocketConstructor;

export class TalkingPair {
  /** Times in milliseconds from the first event about a separation, at either end, until both have `room_ready`. */
  readonly apartMs: number[] = [];
  /** Number of messages that arrived. */
  received = 0;
  /** Errors: a message out of order or repeated, or a final end. */
  readonly faults: string[] = [];
  readonly #clients: SignalingClient[];
  readonly #isReady = [false, false];
  readonly #talk: NodeJS.Timeout;
  #apartSince = performance.now();
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
    client.on('down', () => this.#turn(n, false));
    client.on('joined', () => this.#turn(n, false));
    client.on('ready', () => this.#turn(n, true));
    client.on('end', (error) => this.faults.push(`ended: ${error.code}`));
    client.on('message', (message) => {
      const number = Number('sdp' in message ? message.sdp.split('=')[1] : Number.NaN);
      if (!(number > last)) this.faults.push(`${number} came after ${last}`);
      last = number;
      this.received += 1;
    });
    return client;
  }

  #turn(n: number, isReady: boolean): void {
    const [before, now] = [this.isTogether, performance.now()];
    this.#isReady[n] = isReady;
    if (before) this.#apartSince = now;
    else if (this.isTogether) this.apartMs.push(now - this.#apartSince);
  }

  #say(): void {
    if (!this.isTogether) return;
    for (const client of this.#clients) {
      client.send({ type: 'webrtc_offer', sdp: `n=${this.#next++}` });
    }
  }
}
