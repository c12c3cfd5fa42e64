// Checks the events that all clients recorded against the invariants of the architecture: a pure function to violations.
//
// A client records only the messages that it gets, which may be outdated when it reads them. The checker therefore
// determines when each state is *certain* and when it is *possible*, and reports a violation only if no order of events
// explains the record.
//
// - A stay in a room is certain from the reading of `room_joined` until the first event that may cost the seat: the client
//   leaves, moves, hangs up, falls silent, or another connection of its device requests the seat. If the server closes
//   the connection, the client reads that late, and the stay ends `settleMs` earlier. A stay is possible from the request
//   until all servers must have detected its end (`goneBy`). Three devices with certain stays at one moment are three
//   members; `room_full` without two other possible stays is a lost seat.
// - During a fault, a server may keep clients whose seats now belong to others: a paused or partitioned server cannot tell
//   them. From the beginning of the fault until `recoveryMs` after its end, no stay on it is certain, and no message from
//   it or about its clients counts as wrong or late. Frames have no such exception: no frame arrives out of order, twice,
//   from the wrong sender, in the wrong room or without a peer. A server that acts on old seats violates this rule,
//   because its frames arrive among those of the connection that took the seat.
// - A frame is delivered, or both members are told. Within one `room_ready` of a receiver, the numbers of a sender are
//   therefore consecutive, without exception. A lost last frame must end the membership for both members once their
//   servers have been undisturbed for `settleMs`; a member that leaves by itself is checked as below.
// - A fault of Redis affects every server, and so does a stall of the test, which then reads late and answers no ping.
//   After a flush, nothing is expected of earlier pairings.
// - A membership is the time from one `room_ready` to the event that ends it. membershipsOf
//   determines and proves the pairs of memberships; only these are compared. An automaton (reading.ts) checks the messages about a peer, without
//   exceptions for faults: the end of one peer is told before another peer comes.
// - A survivor must be told within the bound, in a time without a fault of its own server; after a fault, the bound
//   starts again. Bounds are: `settleMs` for a connection that ends on a working server; the lease and a
//   third, plus `settleMs`, on a failed server; three heartbeats for a client that fell silent.
// - REST has no exceptions. Every request has a key and is repeated until it is answered. Codes live longer than the test
//   and are used once. Any 404, any 409 except that of the losing device, and any two different answers are therefore
//   violations at any time, even during faults.
import type { Event } from '../history.js';
import type { Bounds } from '../settings.js';
import { Connections } from './connections.js';
import { Disturbances } from './disturbances.js';
import { frameViolations } from './frames-rule.js';
import { pairingViolations } from './pairing-rule.js';
import { membershipsOf, read } from './reading.js';
import { roleViolations } from './roles-rule.js';
import { seatViolations } from './seats-rule.js';
import { recoveries, serviceViolations } from './service-rule.js';
import { toldViolations } from './told-rule.js';
import type { Violation } from './violation.js';

export interface Verdict {
  violations: readonly Violation[];
  /** The amount of judged data: a checker that reads nothing finds nothing. */
  seen: { joins: number; readies: number; memberships: number; frames: number };
  /** For each round of faults, the time until every pair was served again. */
  recoveriesMs: readonly number[];
}

export function check(events: readonly Event[], bounds: Bounds): Verdict {
  const connections = new Connections(events);
  const disturbances = new Disturbances(events, bounds);
  const story = { events, connections, disturbances, bounds };
  const readings = connections.all.map(read);
  const readies = readings.flatMap((reading) => reading.readies);
  const memberships = membershipsOf(readies);
  const violations = [
    ...pairingViolations(story),
    ...readings.flatMap((reading) => reading.violations),
    ...seatViolations(story),
    ...roleViolations(story, memberships),
    ...frameViolations(story, readies, memberships),
    ...toldViolations(story, readies),
    ...serviceViolations(story),
  ];
  return {
    violations: violations.sort((a, b) => a.t - b.t),
    seen: {
      joins: connections.stays.filter(({ joined }) => joined < Number.POSITIVE_INFINITY).length,
      readies: readies.length,
      memberships: memberships.length,
      frames: readies.reduce((sum, { frames }) => sum + frames.length, 0),
    },
    recoveriesMs: recoveries(story).map(({ tookMs }) => tookMs),
  };
}
