// Which `room_ready` of one connection belongs to which of another, by what the two sent each other meanwhile.
import type { Ready } from './reading.js';

/** Two `room_ready` of one and the same membership. */
export type Membership = readonly [Ready, Ready];

export interface Memberships {
  /** Those that are certain. */
  pairs: readonly Membership[];
  /** The connection whose frames came in a `room_ready`; undefined: none came. */
  peerOf(ready: Ready): number | undefined;
}

/**
 * A frame that was sent in X's `room_ready` i and came in Y's j does not prove that the two belong together: X may not
 * have known yet that its peer was another now. But where a frame of j also came in i, they do. That frame was sent after
 * Y was told of j, and put before the next `room_ready` of X; so i is the one that X was told in the change which told Y
 * of j, or one that merely repeats it to somebody who joined again, in the same roles.
 */
export function membershipsOf(readies: readonly Ready[]): Memberships {
  const known = new Map<string, Ready>();
  for (const ready of readies) known.set(`${ready.conn.conn}:${ready.index}`, ready);
  const heard = new Map<Ready, Set<Ready>>();
  for (const ready of readies) {
    const senders = new Set<Ready>();
    for (const { label } of ready.frames) {
      const sender = label && known.get(`${label.conn}:${label.ready}`);
      if (sender) senders.add(sender);
    }
    heard.set(ready, senders);
  }
  const pairs: Membership[] = [];
  for (const [ready, senders] of heard) {
    for (const sender of senders) {
      const isFirst = sender.conn.conn < ready.conn.conn;
      if (isFirst && heard.get(sender)?.has(ready)) pairs.push([sender, ready]);
    }
  }
  return { pairs, peerOf: (ready) => ready.frames[0]?.label?.conn };
}
