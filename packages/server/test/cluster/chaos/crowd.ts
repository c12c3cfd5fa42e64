// A burst: thousands of connections that join one room at one node at once, and go again.
import { randomUUID } from 'node:crypto';
import { Link, type Outcome } from './link.js';
import type { Address, World } from './world.js';

/** More than may wait in the queue of one room. */
const CROWD = 2100;
/** Connections that are opened at once. */
const AT_ONCE = 100;

/** Resolves when all have had an answer and are gone. */
export async function crowd(world: World, at: Address): Promise<void> {
  const room = world.secrets.add(`crowd-${randomUUID()}`);
  const links: Link[] = [];
  let opened = 0;
  const open = async () => {
    while (opened < CROWD) {
      opened += 1;
      // Addresses of a network of their own; each has a few connections.
      const address = `10.200.${opened >> 8}.${opened & 255}`;
      const link = await Link.open(world, at, { pair: -1, part: 'crowd', address }, true);
      if (link) links.push(link);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, open));
  const answers = await Promise.all(
    links.map((link) => link.join(room, world.secrets.add(randomUUID()))),
  );
  const count = (outcome: Outcome) => answers.filter((answer) => answer === outcome).length;
  world.report(
    `burst: ${links.length} joined one room at once: ${count('joined')} were seated, ` +
      `${count('full')} got room_full, ${count('error')} unavailable, ${count('silence')} no answer in time`,
  );
  for (const link of links) link.close('terminate');
}
