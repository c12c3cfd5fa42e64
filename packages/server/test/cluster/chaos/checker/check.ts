// The invariants of the architecture, held against what all clients saw: pure, from the list of events to the violations.
//
// What can be known. A client does not see what a server holds, only what it is told; and what it is told may be old by
// the time that it reads it. So the checker asks of each thing when it is *certain* and when it is *possible*, and
// calls a violation only what no order of things in between can explain.
//
// - A stay in a room is certain from the reading of `room_joined`, and ends with the first thing that may cost it the
//   seat: the client leaves, moves, hangs up, falls silent, or another connection of its device asks for the seat. Where
//   the server closes it, the client reads of that late, and the stay ends `settleMs` before. It is possible from the
//   asking until everyone must know of its end (`goneBy`). Three devices with certain stays at one moment are three
//   members; `room_full` without two others whose stays are possible is a lost seat.
// - A server that a fault strikes may keep clients who believe in seats that are others' by now: paused, it can tell them
//   nothing; cut off, it does not know. So no stay on it is certain, and no notice of it or about its clients is
//   wrong or late, from the beginning of the fault until `healMs` after its end. Frames are another matter: whatever
//   happened, no frame comes out of order, twice, from the wrong sender, in the wrong room or to one without a peer.
//   A zombie that acts on old seats shows there: its frames come among those of the connection that took the seat.
// - A frame is delivered, or both members are told. So within one `room_ready` of a receiver, the numbers of a sender are
//   consecutive, with no excuse at all. A frame that never came and that nothing follows ends the membership for both, by
//   the time that their servers have been undisturbed for `settleMs`; a member that goes by itself is judged as below.
// - A fault of Redis strikes every server; so does a stall of the test itself, which reads late then, and answers no
//   ping. A flush takes every pairing that was made before: nothing is expected of those afterwards.
// - A membership is the time from one `room_ready` to what ends it. Which two belong together, memberships.ts says and
//   proves: only these are compared. How a client is told of its peer is a small automaton (reading.ts), for which
//   faults are no excuse either: one peer goes, and is said to, before another comes.
// - A survivor must be told within the bound, in a time without a fault of its own server; after a fault, the bound
//   starts again. Bounds (bounds.ts) are: `settleMs` for a connection that ends on a working server; the lease and a
//   third, plus `settleMs`, on a failed server; three heartbeats for a client that fell silent.
// - REST needs no such care. Every wish has a key and is repeated until it is answered, codes live longer than the
//   test, and are used once: so any 404, any 409 but that of the losing device, and any two answers that differ are violations at
//   any time, faults or not.
import type { Event } from '../history.js';
import type { Bounds } from './bounds.js';
import { Connections } from './connections.js';
import { Disturbances } from './disturbances.js';
import { frameViolations } from './frames-rule.js';
import { membershipsOf } from './memberships.js';
import { pairingViolations } from './pairing-rule.js';
import { read } from './reading.js';
import { roleViolations } from './roles-rule.js';
import { seatViolations } from './seats-rule.js';
import { recoveries, serviceViolations } from './service-rule.js';
import { toldViolations } from './told-rule.js';
import type { Violation } from './violation.js';

export interface Verdict {
  violations: readonly Violation[];
  /** How much there was to judge: a checker that sees nothing finds nothing. */
  seen: { joins: number; readies: number; memberships: number; frames: number };
  /** Of each round of faults, how long it took until every pair was served again. */
  recoveriesMs: readonly number[];
}

export function check(events: readonly Event[], bounds: Bounds): Verdict {
  const connections = new Connections(events);
  const disturbances = new Disturbances(events, bounds);
  const readings = connections.all.map(read);
  const readies = readings.flatMap((reading) => reading.readies);
  const memberships = membershipsOf(readies);
  const violations = [
    ...pairingViolations(events, disturbances, bounds),
    ...readings.flatMap((reading) => reading.violations),
    ...seatViolations(connections, disturbances, bounds),
    ...roleViolations(events, connections, memberships),
    ...frameViolations(connections, readies, memberships, disturbances, bounds),
    ...toldViolations(connections, readies, memberships, disturbances, bounds),
    ...serviceViolations(events, connections, disturbances, bounds),
  ];
  const stays = connections.all.flatMap((connection) => connection.stays);
  return {
    violations: violations.sort((a, b) => a.t - b.t),
    seen: {
      joins: stays.filter(({ joined }) => joined < Number.POSITIVE_INFINITY).length,
      readies: readies.length,
      memberships: memberships.pairs.length,
      frames: readies.reduce((sum, { frames }) => sum + frames.length, 0),
    },
    recoveriesMs: recoveries(events, connections, bounds).map(({ tookMs }) => tookMs),
  };
}
