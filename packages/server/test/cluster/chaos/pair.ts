// Two devices that pair, meet in their room, and later pair again; sometimes a third device tries to join.
import { Device } from './device.js';
import { Link } from './link.js';
import type { Random } from './random.js';
import { ask, type Wish } from './rest.js';
import type { World } from './world.js';

/** How often the two agree on a room by other means: then roles go by arrival. */
const UNPAIRED = 0.2;
/** How often a rival tries the same code at the same time. */
const RIVALLED = 0.3;
/** Numbers of pairings that are to be purged: those from here on. */
const FIRST_PURGED = 5000;

export class Pair {
  readonly creator: Device;
  readonly acceptor: Device;
  readonly #world: World;
  readonly #number: number;
  readonly #random: (name: string) => Random;
  #pairings = 0;

  /** @param random - the stream of a name, for this pair alone */
  constructor(world: World, number: number, random: (name: string) => Random) {
    this.#world = world;
    this.#number = number;
    this.#random = random;
    const device = (part: 'creator' | 'acceptor') =>
      new Device(world, random(part), number, part, this.#address(part));
    this.creator = device('creator');
    this.acceptor = device('acceptor');
  }

  /** Lives until the run is over. */
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

  /** Every party has an address of its own, as the limits count. */
  #address(part: string): string {
    const host = ['creator', 'acceptor', 'third', 'rival', 'purged'].indexOf(part) + 1;
    return `10.${this.#number >> 8}.${this.#number & 255}.${host}`;
  }

  async #pairAgainAndAgain(random: Random): Promise<void> {
    await this.#world.pause(random.between(0, 4000));
    while (!this.#world.over) {
      if (random.chance(UNPAIRED)) this.#meet(random);
      else if (!(await this.#pair(random))) continue;
      await this.#world.pauseUntilLoad(random.between(10_000, 40_000));
    }
  }

  /** Any room id will do. */
  #meet(random: Random): void {
    const room = this.#world.secrets.add(`meeting-${random.uuid()}`);
    this.creator.assignment = { room, device: this.#newDevice(random) };
    this.acceptor.assignment = { room, device: this.#newDevice(random) };
  }

  /** By a code, over REST. Resolves to whether it came to a room. */
  async #pair(random: Random): Promise<boolean> {
    const { secrets } = this.#world;
    this.#pairings += 1;
    const code = this.#newCode(random, this.#pairings);
    const creator = this.#newDevice(random);
    const want = (wish: Omit<Wish, 'code'>, stream: Random, part: string) =>
      ask(this.#world, stream, this.#address(part), { code, ...wish });
    const streams = Object.fromEntries(
      ['creator', 'acceptor', 'rival'].map((part) => [
        part,
        this.#random(`pairing ${this.#pairings} ${part}`),
      ]),
    ) as Record<'creator' | 'acceptor' | 'rival', Random>;

    const created = await want({ what: 'create', device: creator }, streams.creator, 'creator');
    if (created?.status !== 201) return false;
    let isAccepted = false;
    const accept = async (part: 'acceptor' | 'rival') => {
      const device = this.#newDevice(streams[part]);
      await breathe(streams[part].between(0, 600));
      const accepted = await want({ what: 'accept', device }, streams[part], part);
      if (accepted?.status !== 200) return;
      isAccepted = true;
      const room = secrets.add(String(accepted.body?.roomid));
      this.acceptor.assignment = { room, device };
    };
    const check = async (): Promise<string | undefined> => {
      while (!this.#world.over) {
        const wait = streams.creator.below(4);
        const checked = await want(
          { what: 'check', device: creator, wait },
          streams.creator,
          'creator',
        );
        if (checked?.status === 200) return String(checked.body?.roomid);
        if (checked?.status !== 204) return undefined;
        if (wait === 0) await breathe(streams.creator.between(50, 300));
      }
      return undefined;
    };
    const parties = ['acceptor', ...(random.chance(RIVALLED) ? ['rival'] : [])] as const;
    const [room] = await Promise.all([
      check().then((found) => {
        if (found) this.creator.assignment = { room: found, device: creator };
        return found;
      }),
      ...parties.map((party) => accept(party as 'acceptor' | 'rival')),
    ]);
    // Where Redis lost its data between the two answers, only one of them knows of a room.
    if (room === undefined || !isAccepted) return false;
    await want({ what: 'get', device: creator, room }, streams.creator, 'creator');
    return true;
  }

  /** Two more devices, which pair and never meet: one of them purges its data. */
  async #purgeNowAndThen(random: Random): Promise<void> {
    for (let n = FIRST_PURGED; !this.#world.over; n++) {
      await this.#world.pauseUntilLoad(random.between(5000, 30_000));
      const code = this.#newCode(random, n);
      const [creator, acceptor] = [this.#newDevice(random), this.#newDevice(random)];
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
      if ((await link.join(room, this.#newDevice(random))) === 'joined') {
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

  /** Twelve digits that no other pairing of the run has. */
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

  #newDevice(random: Random): string {
    return this.#world.secrets.add(random.uuid());
  }
}

const breathe = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
