/* What must hold: at single steps, and in every state in which nobody has anything left to do. */

/* A node whose lease has ended does not act on the seats it had. */
inline ownsLease(n)
{
  assert(leases & BIT(ID(n)))
}

/* Only a join takes the seat of a living connection, or its own departure. */
#define STAYS(m, after, task, mover) (CONNECTION(m) == NOBODY || SITS(after, CONNECTION(m)) || task == JOIN || \
   !(leases & BIT(NODE_ID(m))) || (DEPARTS(task) && mover == CONNECTION(m)) || !seated[CONNECTION(m)])
inline takesNoLivingSeat(after, task, mover)
{
  assert(STAYS(room.a, after, task, mover) && STAYS(room.b, after, task, mover))
}

/* One room_ready for each pair, never for an earlier one; of two that were told of one pair, one is the initiator. */
#define ONE_INITIATOR(x, y) (pair[x] == 0 || pair[x] != pair[y] || (peer[x] == y && peer[y] == x && initiator[x] != initiator[y]))
inline toldReady(x)
{
  assert(pair[x] > ready[x]);
  ready[x] = pair[x];
  assert(ONE_INITIATOR(0, 1) && ONE_INITIATOR(0, 2) && ONE_INITIATOR(1, 2))
}

/* No frame crosses from one pair to another; within one, a sender's frames come in order and none twice. */
inline withinPair(sender, target, company, number)
{
  assert(peer[target] == sender && pair[target] == company);
  assert(number > heard[target])
}

#define NODE_SETTLED(n) (state[n] == DOWN || (state[n] == UP && op[n].phase == IDLE && !stale[n] && !unclaimed[n] && \
   empty(inbox[n]) && dead[n] == (known & ~leases)))
#define LEASE_SETTLED(n) (!(leases & BIT(ID(n))) == (state[n] == DOWN) && (lives[n] == 0 || !(leases & BIT(n))))
#define SETTLED (NODE_SETTLED(0) && NODE_SETTLED(1) && LEASE_SETTLED(0) && LEASE_SETTLED(1) && \
   want[0] == NOTHING && want[1] == NOTHING && want[2] == NOTHING && !MUST_LOOK(0) && !MUST_LOOK(1))

/* A seat is that of a connection that is there and knows it; or of a dead node, in a room where nobody else sits. */
#define SOMEBODY (seated[0] || seated[1] || seated[2])
#define SEAT_RIGHT(m) (CONNECTION(m) == NOBODY || \
   ((leases & BIT(NODE_ID(m))) -> (open[CONNECTION(m)] && seated[CONNECTION(m)] && NODE_ID(m) == ID(at[CONNECTION(m)])) : !SOMEBODY))
/* Who sits was told what the register says. */
#define TOLD_RIGHT(x) (!seated[x] || (open[x] && SITS(room, x) && peer[x] == OPPOSITE(room, x) && \
   (peer[x] == NOBODY || (pair[x] == room.pair && initiator[x] == (CONNECTION(room.a) == x)))))
#define AGREED (SEAT_RIGHT(room.a) && SEAT_RIGHT(room.b) && TOLD_RIGHT(0) && TOLD_RIGHT(1) && TOLD_RIGHT(2))
