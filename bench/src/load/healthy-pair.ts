// A pair that forwards at a modest rate and a device that pairs over REST: the effect of a flood on users.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Histogram, type Latency } from '../figures/histogram.js';
import { clientFrame, openingHandshake, TEXT } from '../wire/client-frames.js';

const FORWARD_EVERY_MS = 10;
const REST_EVERY_MS = 25;

/** How long the test waits for answers after the last request, in milliseconds; later ones are errors. */
const PATIENCE_MS = 5000;

export interface Health {
  forward: Latency;
  rest: Latency;
  /** Answers and messages that were wrong or missing. */
  errors: number;
  /** Busy share of one core, of all threads of the server. */
  serverCpu: number | null;
}

/** Measures for this many seconds, after a time for the flood to begin. */
export async function measureHealth(
  { port, pid }: { port: number; pid: number },
  seconds: number,
  rampUpSeconds: number,
): Promise<Health> {
  const pair = await Pair.open(port);
  const device = await Device.open(port);
  await sleep(rampUpSeconds * 1000);
  const cpuBefore = cpuSeconds(pid);
  const startedAt = performance.now();
  const forwarding = setInterval(() => pair.send(), FORWARD_EVERY_MS);
  const deadline = startedAt + seconds * 1000;
  while (performance.now() < deadline) {
    await device.step();
    await sleep(REST_EVERY_MS);
  }
  clearInterval(forwarding);
  const took = (performance.now() - startedAt) / 1000;
  const cpuAfter = cpuSeconds(pid);
  await pair.drain();
  const errors = pair.missing + device.errors;
  pair.close();
  device.close();
  return {
    forward: pair.latency.summary(),
    rest: device.latency.summary(),
    errors,
    serverCpu: cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / took,
  };
}

/** User and system time of a process, in seconds; null if the system does not provide it. */
function cpuSeconds(pid: number): number | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return null;
  }
}

/** Two WebSockets in a room: one sends its time, the other reads it. */
class Pair {
  readonly latency = new Histogram();
  readonly #sender: Socket;
  readonly #receiver: Socket;
  #sent = 0;
  #received = 0;

  private constructor(sender: Socket, receiver: Socket) {
    this.#sender = sender;
    this.#receiver = receiver;
    let rest = '';
    receiver.on('data', (bytes) => {
      const text = rest + bytes.toString('latin1');
      let from = 0;
      for (const match of text.matchAll(/"sdp":"t=([\d.]+);/g)) {
        this.latency.add(performance.now() - Number(match[1]));
        this.#received += 1;
        from = match.index + match[0].length;
      }
      rest = text.slice(Math.max(from, text.length - 64));
    });
  }

  static async open(port: number): Promise<Pair> {
    const sender = await joined(port);
    const receiver = await joined(port);
    await sleep(100);
    return new Pair(sender, receiver);
  }

  get missing(): number {
    return this.#sent - this.#received;
  }

  send(): void {
    this.#sent += 1;
    const text = JSON.stringify({ type: 'webrtc_offer', sdp: `t=${performance.now()};` });
    this.#sender.write(clientFrame(TEXT, Buffer.from(text)));
  }

  async drain(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (this.missing > 0 && performance.now() < deadline) await sleep(10);
  }

  close(): void {
    this.#sender.destroy();
    this.#receiver.destroy();
  }
}

async function joined(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.write(openingHandshake('/', port));
  await new Promise((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('error', reject);
  });
  const join = JSON.stringify({ type: 'join_room', roomId: 'healthy' });
  socket.write(clientFrame(TEXT, Buffer.from(join)));
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}

/** The steps of a pairing in sequence, each with its expected status. */
const STEPS: [method: string, path: string, status: number][] = [
  ['POST', '/api/rooms', 201],
  ['POST', '/api/rooms/check', 204],
  ['POST', '/api/rooms/accept', 200],
  ['POST', '/api/rooms/check', 200],
  ['GET', '/api/rooms', 200],
];

/** Pairs with itself, one request at a time. */
class Device {
  readonly latency = new Histogram();
  errors = 0;
  readonly #socket: Socket;
  #step = 0;
  #code = 0;
  #roomId = '';
  #answered: (text: string) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      const head = text.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
      if (text.length < head + 4 + length) return;
      const answer = text;
      text = '';
      this.#answered(answer);
    });
    socket.on('error', () => this.#answered(''));
    socket.on('close', () => this.#answered(''));
  }

  static async open(port: number): Promise<Device> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await new Promise((resolve) => socket.once('connect', resolve));
    return new Device(socket);
  }

  async step(): Promise<void> {
    const [method, path, status] = STEPS[this.#step] as (typeof STEPS)[number];
    if (this.#step === 0) this.#code += 1;
    const joinid = String(this.#code).padStart(6, '0');
    const body =
      method === 'GET'
        ? ''
        : JSON.stringify({ joinid, client1: 'one', client2: 'two', expiresInSeconds: 60 });
    const url = method === 'GET' ? `${path}?roomid=${this.#roomId}` : path;
    const bytes = `${method} ${url} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const sentAt = performance.now();
    const answer = await new Promise<string>((resolve) => {
      this.#answered = resolve;
      this.#socket.write(bytes);
    });
    this.latency.add(performance.now() - sentAt);
    if (!answer.startsWith(`HTTP/1.1 ${status} `)) this.errors += 1;
    this.#roomId = /"roomid":"([0-9a-f]{48})"/.exec(answer)?.[1] ?? this.#roomId;
    this.#step = (this.#step + 1) % STEPS.length;
  }

  close(): void {
    this.#socket.destroy();
  }
}
