/* What becomes of a node's memory, and of what it sent, when something goes wrong. */

inline disconnect(x)
{
  forget(x);
  if
  :: want[x] == JOIN && !(op[at[x]].phase != IDLE && op[at[x]].who == x && op[at[x]].what == JOIN) ->
     want[x] = (seated[x] -> DISCONNECT : NOTHING)
  :: want[x] == NOTHING && seated[x] -> want[x] = DISCONNECT
  :: else
  fi;
  leaveForGood(x)
}

inline lose(x, n)
{
  if
  :: AT(x, n) ->
     seated[x] = false; owed[x] = false; want[x] = NOTHING; forget(x); leaveForGood(x)
  :: else
  fi
}

inline loseAll(n)
{
  do
  :: nempty(inbox[n]) -> inbox[n] ? _, _, _, _, _, _
  :: empty(inbox[n]) -> break
  od
}

inline crash(n)
{
  state[n] = DOWN; dead[n] = 0; view[n] = 0; stale[n] = false; unclaimed[n] = false; unsure[n] = false; severed[n] = 0;
  lose(0, n); lose(1, n); lose(2, n);
  loseAll(n);
  endOperation(n)
}

/* The write that was sent goes on without the node. */
inline straggle(n)
{
  late.there = true; late.by = op[n].by; late.expected = op[n].expected;
  COPY(op[n].to, late.to)
}

inline arrive()
{
  if
  :: SET_HOLDS(late.expected, late.by) -> COPY(late.to, room)
  :: else
  fi;
  forgetStraggler()
}

/* Once the inbox hears again, what it may have missed is read. */
inline heardAgain(n)
{
#ifndef LOSSES_IGNORED
  readAgain(n)
#else
  skip
#endif
}

#define REMOTE(x, n) (AT(x, n) && open[x] && seated[x] && peer[x] != NOBODY && !AT(peer[x], n))

inline partFrom(x, n)
{
  if
  :: REMOTE(x, n) -> severed[n] = pair[x]; forget(x)
  :: else
  fi
}

inline endLease(id)
{
  leases = leases & ~BIT(id);
  dropStraggler()
}
