/* One room in cluster mode: its register in Redis, two nodes, three connections, and whatever can go wrong. See README.md. */

#define NODES 2
#define CONNECTIONS 3

/* What the environment may do in one run. */
#ifndef FAULTS
#define FAULTS 1                   /* crashes, lapses, messages lost or repeated, outcomes unknown */
#endif
#ifndef CHURN
#define CHURN 1                    /* leaves, disconnects, joins of one who joined before */
#endif
#ifndef FRAMES
#define FRAMES 0                   /* forwarded frames */
#endif
#define INBOX 6                    /* messages under way to a node; that this is enough is asserted */

#include "state.pml"
#include "invariants.pml"
#include "rule.pml"
#include "connections.pml"
#include "node.pml"
#include "news.pml"
#include "faults.pml"

#define n _pid
active [NODES] proctype Node()
{
end:
  do
  :: d_step { WANTS(n, 0) -> begin(n, want[0], 0) }
  :: d_step { WANTS(n, 1) -> begin(n, want[1], 1) }
  :: d_step { WANTS(n, 2) -> begin(n, want[2], 2) }
  :: d_step { MUST_LOOK(n) -> begin(n, LOOK, 0) }
  :: d_step { op[n].phase == SENT -> compareAndSet(n) }
  :: d_step { ACTS(n) && op[n].phase == DONE -> answered(n) }
  :: d_step { ACTS(n) && op[n].phase == TELLING -> publish(n) }
  :: d_step { FREE(n) && inbox[n] ? [NOTICE, _, _, _, _, _] ->
       inbox[n] ? kind, before, next.v, next.pair, next.a, next.b; next.third = EMPTY; heed(n) }
  :: d_step { FREE(n) && inbox[n] ? [FRAME, _, _, _, _, _] ->
       inbox[n] ? kind, before, next.v, next.pair, next.a, _; ownsLease(n); deliver(before, next.v, next.pair, next.a) }
  :: d_step { ACTS(n) && dead[n] != (known & ~leases) -> noticeDeaths(n) }
  :: d_step { state[n] == DOUBT -> askForLease(n) }
  od
}
#undef n

#define x (_pid - NODES)
#define MAY_SPEAK(x) (open[x] && seated[x] && peer[x] != NOBODY && frames < FRAMES && !unclaimed[at[x]])
active [CONNECTIONS] proctype Client()
{
end:
  do
  /* The nodes are alike, so the first connection may always be at the first one. */
  :: d_step { !open[x] && !gone[x] && state[0] != DOWN -> open[x] = true; at[x] = 0; want[x] = JOIN }
  :: d_step { !open[x] && !gone[x] && state[1] != DOWN && x != 0 -> open[x] = true; at[x] = 1; want[x] = JOIN }
  :: d_step { open[x] && want[x] == NOTHING && churn < CHURN -> churn++; want[x] = JOIN }
  :: d_step { open[x] && want[x] == NOTHING && seated[x] && churn < CHURN -> churn++; want[x] = LEAVE }
  :: d_step { open[x] && churn < CHURN -> churn++; disconnect(x) }
#if FRAMES > 0
  /* Between two of one node also while Redis is away; to the other node behind whatever it is being told. */
  :: d_step { MAY_SPEAK(x) && AT(peer[x], at[x]) -> frames++; deliver(x, peer[x], pair[x], frames) }
  :: d_step { MAY_SPEAK(x) && !AT(peer[x], at[x]) && ACTS(at[x]) && op[at[x]].phase != TELLING ->
       frames++; post(1 - at[x], FRAME, x, peer[x], pair[x], frames, 0) }
#endif
  od
}
#undef x

#define n (_pid - NODES - CONNECTIONS)
#define MAY_FAIL (faults < FAULTS)
active [NODES] proctype Fate()
{
end:
  do
  /* kill -9; what was sent before may still arrive. */
  :: d_step { MAY_FAIL && state[n] != DOWN -> faults++; crash(n) }
  :: d_step { MAY_FAIL && state[n] != DOWN && op[n].phase == SENT && !late.there -> faults++; straggle(n); crash(n) }
  :: d_step { state[n] == DOWN && lives[n] == 0 -> beginAnew(n); state[n] = UP }
  /* SIGSTOP, or Redis out of reach, for longer than its lease is good by its own clocks. */
#ifdef NO_CLOCK
  :: d_step { MAY_FAIL && ACTS(n) && lives[n] == 0 && !overslept[n] -> faults++; overslept[n] = true }
  :: d_step { overslept[n] && ACTS(n) && lives[n] == 0 -> endLease(n) }
#else
  :: d_step { MAY_FAIL && ACTS(n) && lives[n] == 0 -> faults++; state[n] = DOUBT }
#endif
  /* Redis still gives no answer: what was asked fails, and who has its peer on the other node is told that it is gone. */
  :: d_step { state[n] == DOUBT && (op[n].phase == SENT || op[n].phase == DONE) -> giveUp(n) }
  :: d_step { state[n] == DOUBT && op[n].phase == SENT && !late.there -> straggle(n); giveUp(n) }
  :: d_step { state[n] == DOUBT && (op[n].phase == IDLE || op[n].phase == TELLING) && (REMOTE(0, n) || REMOTE(1, n) || REMOTE(2, n)) ->
       partFrom(0, n); partFrom(1, n); partFrom(2, n) }
  /* Redis ends the lease that nobody renews. */
  :: d_step { (leases & BIT(n)) && (lives[n] == 1 || state[n] != UP) -> endLease(n) }
  :: d_step { (leases & BIT(n + NODES)) && state[n] == DOWN -> endLease(n + NODES) }
  /* The subscription breaks: the next message is lost, or all that are under way. */
  :: d_step { MAY_FAIL && nempty(inbox[n]) -> faults++; inbox[n] ? _, _, _, _, _, _; heardAgain(n) }
  :: d_step { MAY_FAIL && len(inbox[n]) > 1 -> faults++; loseAll(n); heardAgain(n) }
  /* A notice arrives twice. */
  :: d_step { MAY_FAIL && FREE(n) && inbox[n] ? [NOTICE, _, _, _, _, _] ->
       faults++; inbox[n] ? <kind, before, next.v, next.pair, next.a, next.b>; next.third = EMPTY; heed(n) }
  /* No answer to a compare-and-set, and the lease is good. */
  :: d_step { MAY_FAIL && ACTS(n) && (op[n].phase == SENT || op[n].phase == DONE) -> faults++; giveUp(n) }
  :: d_step { MAY_FAIL && ACTS(n) && op[n].phase == SENT && !late.there -> faults++; straggle(n); giveUp(n) }
  od
}
#undef n

active proctype Network()
{
end:
  do
  :: d_step { late.there -> arrive() }
  od
}

active proctype Judge()
{
end:
  do
  :: d_step { room.third != EMPTY -> assert(false) }
  :: d_step { SETTLED && !AGREED -> assert(false) }
  :: timeout -> assert(SETTLED); break
  od
}
