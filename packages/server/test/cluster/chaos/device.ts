// One device: wants the seat of its pairing, and lives a restless life there: talks, leaves, moves, fades, takes over.
import type { Part } from './history.js';
import { type Identity, Link } from './link.js';
import type { Random } from './random.js';
import { Backoff, type World } from './world.js';

/** The seat that it wants, and what it calls itself there. */
export interface Assignment {
  room: string;
  device: string;
}

/** What it does next, and how often. */
const ACTIONS = {
  say: 60,
  leave: 6,
  joinAgain: 4,
  close: 5,
  terminate: 5,
  fade: 3,
  takeOver: 6,
} as const;

/** How often a connection is one that never gives up by itself. */
const PATIENT = 0.3;
/** When a connection that faded, or waits to be closed by the server, is dropped. */
const GHOST_MS = 20_000;

export class Device {
  assignment: Assignment | null = null;
  readonly #world: World;
  readonly #random: Random;
  readonly #identity: Identity;
  readonly #backoff: Backoff;
  #link: Link | undefined;
  readonly #ghosts = new Set<Link>();

  constructor(world: World, random: Random, pair: number, part: Part, address: string) {
    this.#world = world;
    this.#random = random;
    this.#backoff = new Backoff(random);
    this.#identity = { pair, part, address };
  }

  /** Lives until the run is over. */
  async live(): Promise<void> {
    while (!this.#world.over) {
      const wanted = this.assignment;
      if (wanted === null) await this.#world.pause(100).then(() => breathe());
      else if (!this.#link?.alive) await this.#connect();
      else if (this.#link.room !== wanted.room) await this.#join(this.#link, wanted);
      else await this.#stay(this.#link);
    }
  }

  /** The connections that it has, for the watch. */
  watch(now: number): void {
    this.#link?.watch(now);
  }

  end(): void {
    this.#link?.close('terminate');
    for (const ghost of this.#ghosts) {
      ghost.close('terminate');
      ghost.destroy();
    }
  }

  async #connect(): Promise<void> {
    const before = this.#link?.node;
    this.#link = undefined;
    const patient = this.#random.chance(PATIENT);
    const at = this.#world.address(this.#random, before);
    this.#link = await Link.open(this.#world, at, this.#identity, patient);
    if (!this.#link) await this.#backoff.failed();
  }

  async #join(link: Link, { room, device }: Assignment): Promise<void> {
    const outcome = await link.join(room, device);
    if (outcome === 'joined') this.#backoff.succeeded();
    if (outcome === 'joined' || outcome === 'gone') return;
    await this.#backoff.failed();
    // A full room, no answer, no service: some ask again, others ask elsewhere.
    if (outcome !== 'error' || this.#random.chance(0.5)) link.close('close');
  }

  async #stay(link: Link): Promise<void> {
    if (this.#world.mode === 'recovery') {
      if (!this.#world.served.has(this.#identity.pair)) link.say();
      await breathe(200);
      return;
    }
    await this.#world.pause(this.#random.between(1000, 4000));
    if (this.#world.mode === 'load' && link.alive && this.assignment?.room === link.room) {
      await this.#act(link);
    }
  }

  async #act(link: Link): Promise<void> {
    const action = this.#random.weighted(ACTIONS);
    switch (action) {
      case 'say':
        for (let count = 1 + this.#random.below(4); count > 0; count--) link.say();
        break;
      case 'leave': {
        if ((await link.leave()) !== 'left') link.close('close');
        await this.#world.pause(this.#random.between(0, 2000));
        break;
      }
      case 'joinAgain': {
        const again = await link.join(link.room as string, this.assignment?.device as string);
        if (again !== 'joined') link.close('close');
        break;
      }
      case 'close':
      case 'terminate':
        link.close(action);
        await this.#world.pause(this.#random.between(0, 2000));
        break;
      case 'fade':
        this.#leaveBehind(link);
        link.close('fade');
        await this.#world.pause(this.#random.between(0, 8000));
        break;
      case 'takeOver':
        await this.#takeOver(link);
        break;
    }
  }

  /** Comes by another connection while this one is open. */
  async #takeOver(old: Link): Promise<void> {
    const wanted = this.assignment;
    const at = this.#world.address(this.#random, old.node);
    const link = await Link.open(this.#world, at, this.#identity, this.#random.chance(PATIENT));
    if (!link || !wanted) return;
    const outcome = await link.join(wanted.room, wanted.device);
    if (outcome !== 'joined') {
      // Whether the seat is its own now is not known: a fresh connection settles it.
      link.close('terminate');
      old.close('terminate');
      return;
    }
    this.#link = link;
    this.#leaveBehind(old);
  }

  #leaveBehind(link: Link): void {
    this.#link = this.#link === link ? undefined : this.#link;
    this.#ghosts.add(link);
    setTimeout(() => {
      link.close('terminate');
      link.destroy();
      this.#ghosts.delete(link);
    }, GHOST_MS).unref();
  }
}

const breathe = (ms = 50) => new Promise((resolve) => setTimeout(resolve, ms));
