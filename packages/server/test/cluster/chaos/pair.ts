// Two devices that pair over REST, meet in their room, and later pair again; sometimes a third device tries to join.
import { setTimeout as sleep } from 'node:timers/promises';
import { call } from '@couplet/testkit/api';
import { Device } from './device.js';
import { type Body, isFinal, type Operation } from './history.js';
import { Link } from './link.js';
import { Backoff, Random, type World } from './world.js';

/** Share of pairings in which a third device tries the same code at the same time. */
const RIVALLED = 0.3;
/** Share of answers that are lost because the client hangs up. */
const LOST = 0.08;
/** Share of requests that are repeated although they were answered. */
const REPEATED = 0.1;
const ANSWER_MS = 2500;
/** A creator that still waits so long after its code was accepted creates another. */
const FORGOTTEN_MS = 3000;
/** The numbers of pairings that are purged start here. */
const FIRST_PURGED = 5000;
/** Codes live longer than the run. */
const SECONDS_OF_A_DAY = 86_400;

/** A device with an address of its own, because limits count by address. */
interface Party {
  device: string;
  address: string;
  random: Random;
}

export class Pair {
  readonly creator: Device;
  readonly acceptor: Device;
  readonly #world: World;
  readonly #number: number;
  #pairings = 0;

  constructor(world: World, number: number) {
    this.#world = world;
    this.#number = number;
    const device = (part: 'creator' | 'acceptor') =>
      new Device(world, this.#random(part), number, part, this.#address(part));
    this.creator = device('creator');
    this.acceptor = device('acceptor');
  }

  /** Runs until the end of the test. */
  async live(): Promise<void> {
    await Promise.all([
      this.creator.live(),
      this.acceptor.live(),
      this.#pairAgainAndAgain(this.#random('pairings')),
      this.#visit(this.#random('visits')),
      this.#purgeNowAndThen(this.#random('purges')),
    ]);
  }

  /** {@link Link.watch} */
  watch(now: number): void {
    this.creator.watch(now);
    this.acceptor.watch(now);
  }

  end(): void {
    this.creator.end();
    this.acceptor.end();
  }

  #random(name: string): Random {
    return new Random(`${this.#number} ${name}`);
  }

  #address(part: string): string {
    const host = ['creator', 'acceptor', 'third', 'rival', 'purged'].indexOf(part) + 1;
    return `10.${this.#number >> 8}.${this.#number & 255}.${host}`;
  }

  async #pairAgainAndAgain(random: Random): Promise<void> {
    await this.#world.pause(random.between(0, 4000));
    while (!this.#world.over) {
      if (await this.#pair(random))
        await this.#world.pauseUntilLoad(random.between(10_000, 40_000));
    }
  }

  /** By a code, over REST. Resolves to whether both devices know the room. */
  async #pair(random: Random): Promise<boolean> {
    const number = ++this.#pairings;
    const code = this.#newCode(random, number);
    const party = (part: 'creator' | 'acceptor' | 'rival'): Party => ({
      device: this.#world.newId(),
      address: this.#address(part),
      random: this.#random(`pairing ${number} ${part}`),
    });
    const creator = party('creator');
    if ((await this.#ask(creator, 'create', code)) === undefined) return false;
    let acceptedAt = Number.POSITIVE_INFINITY;
    const accept = async (by: Party) => {
      await sleep(by.random.between(0, 600));
      const room = roomOf(await this.#ask(by, 'accept', code));
      if (room === undefined) return;
      acceptedAt = performance.now();
      this.acceptor.assignment = { room: this.#world.secret(room), device: by.device };
    };
    const check = async () => {
      while (!this.#world.over) {
        const wait = creator.random.below(4);
        const checked = await this.#ask(creator, 'check', code, { wait });
        const room = roomOf(checked);
        if (room !== undefined) this.creator.assignment = { room, device: creator.device };
        if (checked?.status !== 204) return room;
        // After Redis has lost an accepted code, a server that was paused may create it again. Nobody accepts that one.
        if (performance.now() > acceptedAt + FORGOTTEN_MS) return undefined;
        if (wait === 0) await sleep(creator.random.between(50, 300));
      }
      return undefined;
    };
    const [room] = await Promise.all([
      check(),
      accept(party('acceptor')),
      ...(random.chance(RIVALLED) ? [accept(party('rival'))] : []),
    ]);
    // If Redis lost its data between the two answers, only one of them knows of a room.
    const isAccepted = acceptedAt < Number.POSITIVE_INFINITY;
    if (room !== undefined && isAccepted) await this.#ask(creator, 'get', code, { room });
    return room !== undefined && isAccepted;
  }

  /** Two other devices pair and never meet; one of them purges its data. */
  async #purgeNowAndThen(random: Random): Promise<void> {
    const party = () => ({ device: this.#world.newId(), address: this.#address('purged'), random });
    for (let n = FIRST_PURGED; !this.#world.over; n++) {
      await this.#world.pauseUntilLoad(random.between(5000, 30_000));
      const code = this.#newCode(random, n);
      const [creator, acceptor] = [party(), party()];
      await this.#ask(creator, 'create', code);
      const room = roomOf(await this.#ask(acceptor, 'accept', code));
      if (room === undefined) continue;
      this.#world.secret(room);
      if (random.chance(0.5)) await this.#ask(creator, 'check', code);
      await this.#ask(random.pick([creator, acceptor]), 'purge', code);
      // Deleted at once, and still deleted after all late messages.
      await this.#ask(creator, 'get', code, { room });
      await this.#world.pauseUntilLoad(random.between(5000, 20_000));
      await this.#ask(creator, 'get', code, { room });
    }
  }

  /** A third device with the room id: takes a free seat, sends messages to its peer, and leaves. */
  async #visit(random: Random): Promise<void> {
    const world = this.#world;
    const [pair, address] = [this.#number, this.#address('third')];
    while (!world.over) {
      await world.pauseUntilLoad(random.between(8000, 40_000));
      const room = this.creator.assignment?.room;
      if (room === undefined) continue;
      const link = await Link.open(world, world.node(random), { pair, part: 'third', address });
      if (!link) continue;
      if (await link.join(room, world.newId())) {
        for (let count = random.below(4); count > 0 && world.mode === 'load'; count--) {
          await world.pause(random.between(200, 700));
          link.watch(performance.now());
          link.say();
        }
        if (random.chance(0.5)) await link.leave();
      }
      link.close(random.chance(0.5) ? 'close' : 'terminate');
    }
  }

  /** Twelve digits that no other pairing has. */
  #newCode(random: Random, pairing: number): string {
    const digits = (n: number, length: number) => String(n).padStart(length, '0');
    const parts = [digits(pairing, 4), digits(this.#number, 3), digits(random.below(100_000), 5)];
    return this.#world.secret(parts.join(''));
  }

  /**
   * Sends a request as a careful device does: with a key, repeated on any server until it has a final answer. Resolves to
   * undefined if the run is over before.
   *
   * @param more.wait - seconds that a check may be held
   */
  async #ask(
    { device, address, random }: Party,
    what: Operation,
    code: string,
    { room = '', wait = 0 } = {},
  ): Promise<Reply | undefined> {
    const world = this.#world;
    const id = world.nextId();
    const key = world.newId();
    const { method, path, body } = {
      create: post('', { joinid: code, client1: device, expiresInSeconds: SECONDS_OF_A_DAY }),
      accept: post('/accept', { joinid: code, client2: device }),
      check: post('/check', { joinid: code, client1: device }),
      purge: { ...post('', { deviceId: device }), path: '/api/user/purge' },
      get: { method: 'GET', path: `/api/rooms?roomid=${room}`, body: undefined },
    }[what];
    const headers = {
      'x-forwarded-for': address,
      ...(body ? { 'idempotency-key': key } : {}),
      ...(wait > 0 ? { prefer: `wait=${wait}` } : {}),
    };
    const attempt = async (): Promise<Reply | undefined> => {
      const { number: node, url } = world.node(random);
      const patience = random.chance(LOST) ? random.between(0, 30) : ANSWER_MS + wait * 1000;
      world.record({ kind: 'asked', id, what, code, device, node });
      try {
        const signal = AbortSignal.timeout(Math.ceil(patience));
        const answer = await call(url, method, path, body, headers, signal);
        const reply = { status: answer.status, body: answer.body };
        world.record({ kind: 'answered', id, ...reply });
        return reply;
      } catch {
        // Refused, cut off, or not waited for. The next answer shows what the server did.
        world.record({ kind: 'lost', id });
        return undefined;
      }
    };
    const backoff = new Backoff(random);
    while (!world.over) {
      const reply = await attempt();
      if (reply && isFinal(reply)) {
        if (what !== 'get' && random.chance(REPEATED)) await attempt();
        return reply;
      }
      await backoff.failed();
    }
    return undefined;
  }
}

interface Reply {
  status: number;
  body: Body;
}

const post = (path: string, body: object) => ({ method: 'POST', path: `/api/rooms${path}`, body });

const roomOf = (reply: Reply | undefined): string | undefined =>
  reply?.status === 200 ? String(reply.body?.roomid) : undefined;
