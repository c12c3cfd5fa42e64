// Two devices that pair, meet in their room, and later pair again; sometimes a third device tries to join.
import { setTimeout as sleep } from 'node:timers/promises';
import { Device } from './device.js';
import { Link } from './link.js';
import type { Random } from './random.js';
import { ask, type Wish } from './rest.js';
import type { World } from './world.js';

/** Share of meetings in a room that was not paired; roles then follow the order of arrival. */
const UNPAIRED = 0.2;
/** Share of pairings in which a third device tries the same code at the same time. */
const RIVALLED = 0.3;
/** The numbers of pairings that are purged start here. */
const FIRST_PURGED = 5000;

export class Pair {
  readonly creator: Device;
  readonly acceptor: Device;
  readonly #world: World;
  readonly #number: number;
  readonly #random: (name: string) => Random;
  #pairings = 0;

  /** @param random - returns the sequence of a name, for this pair alone */
  constructor(world: World, number: number, random: (name: string) => Random) {
    this.#world = world;
    this.#number = number;
    this.#random = random;
    const device = (part: 'creator' | 'acceptor') =>
      new Device(world, random(part), number, part, this.#address(part));
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

  end(): void {
    this.creator.end();
    this.acceptor.end();
  }

  /** Every party has a separate address, because limits count by address. */
  #address(part: string): string {
    const host = ['creator', 'acceptor', 'third', 'rival', 'purged'].indexOf(part) + 1;
    return `10.${this.#number >> 8}.${this.#number & 255}.${host}`;
  }

  async #pairAgainAndAgain(random: Random): Promise<void> {
    await this.#world.pause(random.between(0, 4000));
    while (!this.#world.over) {
      if (random.chance(UNPAIRED)) this.#meet();
      else if (!(await this.#pair(random))) continue;
      await this.#world.pauseUntilLoad(random.between(10_000, 40_000));
    }
  }

  /** In any room, without a pairing. */
  #meet(): void {
    const room = this.#world.newId();
    this.creator.assignment = { room, device: this.#world.newId() };
    this.acceptor.assignment = { room, device: this.#world.newId() };
  }

  /** By a code, over REST. Resolves to whether both devices know the room. */
  async #pair(random: Random): Promise<boolean> {
    const world = this.#world;
    const number = ++this.#pairings;
    const code = this.#newCode(random, number);
    const partyOf = (part: 'creator' | 'acceptor' | 'rival') => {
      const device = world.newId();
      const stream = this.#random(`pairing ${number} ${part}`);
      const want = (wish: Omit<Wish, 'code' | 'device'>) =>
        ask(world, stream, this.#address(part), { code, device, ...wish });
      return { device, stream, want };
    };
    const creator = partyOf('creator');
    if ((await creator.want({ what: 'create' }))?.status !== 201) return false;
    let isAccepted = false;
    const accept = async (part: 'acceptor' | 'rival') => {
      const { device, stream, want } = partyOf(part);
      await sleep(stream.between(0, 600));
      const accepted = await want({ what: 'accept' });
      if (accepted?.status !== 200) return;
      isAccepted = true;
      const room = world.secrets.add(String(accepted.body?.roomid));
      this.acceptor.assignment = { room, device };
    };
    const check = async (): Promise<string | undefined> => {
      while (!world.over) {
        const wait = creator.stream.below(4);
        const checked = await creator.want({ what: 'check', wait });
        if (checked?.status === 200) {
          const room = String(checked.body?.roomid);
          this.creator.assignment = { room, device: creator.device };
          return room;
        }
        if (checked?.status !== 204) return undefined;
        if (wait === 0) await sleep(creator.stream.between(50, 300));
      }
      return undefined;
    };
    const [room] = await Promise.all([
      check(),
      accept('acceptor'),
      ...(random.chance(RIVALLED) ? [accept('rival')] : []),
    ]);
    // If Redis lost its data between the two answers, only one of them knows of a room.
    if (room === undefined || !isAccepted) return false;
    await creator.want({ what: 'get', room });
    return true;
  }

  /** Two other devices pair and never meet; one of them purges its data. */
  async #purgeNowAndThen(random: Random): Promise<void> {
    for (let n = FIRST_PURGED; !this.#world.over; n++) {
      await this.#world.pauseUntilLoad(random.between(5000, 30_000));
      const code = this.#newCode(random, n);
      const [creator, acceptor] = [this.#world.newId(), this.#world.newId()];
      const want = (wish: Omit<Wish, 'code'>) =>
        ask(this.#world, random, this.#address('purged'), { code, ...wish });
      await want({ what: 'create', device: creator });
      const accepted = await want({ what: 'accept', device: acceptor });
      if (accepted?.status !== 200) continue;
      const room = this.#world.secrets.add(String(accepted.body?.roomid));
      if (random.chance(0.5)) await want({ what: 'check', device: creator });
      await want({ what: 'purge', device: random.pick([creator, acceptor]) });
      // Deleted at once, and still deleted after all late messages.
      await want({ what: 'get', device: creator, room });
      await this.#world.pauseUntilLoad(random.between(5000, 20_000));
      await want({ what: 'get', device: creator, room });
    }
  }

  /** A third device with the room id: takes a free seat, sends messages to its peer, and leaves. */
  async #visit(random: Random): Promise<void> {
    while (!this.#world.over) {
      await this.#world.pauseUntilLoad(random.between(8000, 40_000));
      const room = this.creator.assignment?.room;
      if (room === undefined) continue;
      const identity = {
        pair: this.#number,
        part: 'third',
        address: this.#address('third'),
      } as const;
      const link = await Link.open(this.#world, this.#world.address(random), identity, false);
      if (!link) continue;
      if ((await link.join(room, this.#world.newId())) === 'joined') {
        for (let count = random.below(4); count > 0 && this.#world.mode === 'load'; count--) {
          await this.#world.pause(random.between(200, 700));
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
    const parts = [
      [pairing, 4],
      [this.#number, 3],
      [random.below(100_000), 5],
    ] as const;
    return this.#world.secrets.add(
      parts.map(([n, digits]) => `${n}`.padStart(digits, '0')).join(''),
    );
  }
}
