// Simulates a burst: thousands of connections join one room on one node at once, and leave.
import { Link, type Outcome } from './link.js';
import type { Address, World } from './world.js';

/** More than the queue of one room may hold. */
const CROWD = 2100;
/** Connections that are opened concurrently. */
const AT_ONCE = 100;

/** Resolves when all have been answered and closed. */
export async function crowd(world: World, at: Address): Promise<void> {
  const room = world.newId();
  const links: Link[] = [];
  let opened = 0;
  const open = async () => {
    while (opened < CROWD) {
      opened += 1;
      // Addresses of a separate network, with a few connections each.
      const address = `10.200.${opened >> 8}.${opened & 255}`;
      const link = await Link.open(world, at, { pair: -1, part: 'crowd', address }, true);
      if (link) links.push(link);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, open));
  const answers = await Promise.all(links.map((link) => link.join(room, world.newId())));
  const count = (outcome: Outcome) => answers.filter((answer) => answer === outcome).length;
  world.report(
    `burst: ${links.length} joined one room at once: ${count('joined')} were seated, ` +
      `${count('full')} got room_full, ${count('error')} unavailable, ${count('silence')} no answer in time`,
  );
  for (const link of links) link.close('terminate');
}
