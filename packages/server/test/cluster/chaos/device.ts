// Simulates one device in the room of its pairing: it sends messages, leaves, moves, falls silent, and takes its seat over.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Part } from './history.js';
import { Link } from './link.js';
import type { ServerNode } from './server-node.js';
import { Backoff, type Random, type World } from './world.js';

/** Its room, and the device id that it sends. */
export interface Assignment {
  room: string;
  device: string;
}

/** Its actions other than talking. */
const ACTIONS = ['leave', 'joinAgain', 'close', 'terminate', 'fade', 'takeOver'] as const;
const TALKING = 0.67;
/** Share of connections that never give up by themselves. */
const PATIENT = 0.3;
/** Time after which a silent connection, or one that waits for the server's close, is dropped. */
const GHOST_MS = 20_000;

export class Device {
  assignment: Assignment | null = null;
  readonly #world: World;
  readonly #random: Random;
  readonly #identity: { pair: number; part: Part; address: string };
  readonly #backoff: Backoff;
  #link: Link | undefined;
  readonly #ghosts = new Set<Link>();

  constructor(world: World, random: Random, pair: number, part: Part, address: string) {
    this.#world = world;
    this.#random = random;
    this.#backoff = new Backoff(random);
    this.#identity = { pair, part, address };
  }

  /** Runs until the end of the test. */
  async live(): Promise<void> {
    while (!this.#world.over) {
      const wanted = this.assignment;
      if (wanted === null) await this.#world.pause(100).then(() => sleep(50));
      else if (!this.#link?.alive) await this.#connect();
      else if (this.#link.room !== wanted.room) await this.#join(this.#link, wanted);
      else await this.#stay(this.#link, wanted);
    }
  }

  watch(now: number): void {
    this.#link?.watch(now);
  }

  end(): void {
    this.#link?.close('terminate');
    for (const ghost of this.#ghosts) ghost.destroy();
  }

  #open(at: ServerNode): Promise<Link | undefined> {
    const isPatient = this.#random.chance(PATIENT);
    return Link.open(this.#world, at, { ...this.#identity, isPatient });
  }

  async #connect(): Promise<void> {
    const before = this.#link?.node;
    this.#link = undefined;
    this.#link = await this.#open(this.#world.node(this.#random, before));
    if (!this.#link) await this.#backoff.failed();
  }

  async #join(link: Link, { room, device }: Assignment): Promise<void> {
    if (await link.join(room, device)) return this.#backoff.succeeded();
    await this.#backoff.failed();
    // Some devices retry on the same server, others on another.
    if (this.#random.chance(0.5)) link.close('close');
  }

  async #stay(link: Link, wanted: Assignment): Promise<void> {
    if (this.#world.mode === 'recovery') {
      if (!this.#world.recovery.served.has(this.#identity.pair)) link.say();
      await sleep(200);
      return;
    }
    await this.#world.pause(this.#random.between(1000, 4000));
    const isThere = link.alive && this.assignment?.room === link.room;
    if (this.#world.mode === 'load' && isThere) await this.#act(link, wanted);
  }

  async #act(link: Link, wanted: Assignment): Promise<void> {
    const action = this.#random.chance(TALKING) ? 'say' : this.#random.pick(ACTIONS);
    const pause = (longestMs: number) => this.#world.pause(this.#random.between(0, longestMs));
    switch (action) {
      case 'say':
        for (let count = 1 + this.#random.below(4); count > 0; count--) link.say();
        break;
      case 'leave':
        if (!(await link.leave())) link.close('close');
        await pause(2000);
        break;
      case 'joinAgain':
        if (!(await link.join(wanted.room, wanted.device))) link.close('close');
        break;
      case 'close':
      case 'terminate':
        link.close(action);
        await pause(2000);
        break;
      case 'fade':
        this.#leaveBehind(link);
        link.close('fade');
        await pause(8000);
        break;
      case 'takeOver':
        await this.#takeOver(link, wanted);
    }
  }

  /** Joins by another connection while this one is open. */
  async #takeOver(old: Link, wanted: Assignment): Promise<void> {
    const link = await this.#open(this.#world.node(this.#random, old.node));
    if (!link) return;
    if (!(await link.join(wanted.room, wanted.device))) {
      // The owner of the seat is unknown now, so a new connection decides it.
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
      link.destroy();
      this.#ghosts.delete(link);
    }, GHOST_MS).unref();
  }
}
