/* One operation of a node: it plans a change, writes it by compare-and-set, tells its own connections, then the other node. */

#define ACTS(n) (state[n] == UP)
#define FREE(n) (ACTS(n) && op[n].phase == IDLE)
#define OWES(n) ((AT(0, n) && owed[0]) || (AT(1, n) && owed[1]) || (AT(2, n) && owed[2]))
#define WANTS(n, x) (FREE(n) && AT(x, n) && want[x] != NOTHING)
#ifdef FAILURES_NOT_REPEATED
#define MUST_LOOK(n) (FREE(n) && (stale[n] || unclaimed[n]))
#else
#define MUST_LOOK(n) (FREE(n) && (stale[n] || unclaimed[n] || unsure[n] || OWES(n)))
#endif

/* Rooms that are read again when something may have been missed. */
#define MATTERS(n) (HAS_SEATS(n) || OWES(n) || unsure[n])
#ifdef JOINS_OVERLOOKED
#define INVOLVED(n) MATTERS(n)
#else
#define INVOLVED(n) (MATTERS(n) || op[n].phase != IDLE)
#endif

/* The script compares the version, and the deadline of the writer's lease with the clock of Redis. */
#ifdef NO_COMPARE
#define SET_HOLDS(version, id) true
#else
#ifdef NO_DEADLINE
#define SET_HOLDS(version, id) (room.v == version)
#else
#define SET_HOLDS(version, id) (room.v == version && (leases & BIT(id)))
#endif
#endif

inline settleDebt(n, x)
{
  if
  :: AT(x, n) -> owed[x] = false
  :: else
  fi
}

/* The operation is done as far as this node's connections are concerned. */
inline finish(n, task, mover)
{
  settleDebt(n, 0); settleDebt(n, 1); settleDebt(n, 2);
  severed[n] = 0;
  if
  :: task != LOOK -> want[mover] = (task == JOIN && gone[mover] && seated[mover] -> DISCONNECT : NOTHING)
  :: else
  fi
}

inline endOperation(n)
{
  op[n].phase = IDLE; op[n].what = NOTHING; op[n].who = 0; op[n].by = 0; op[n].expected = 0; op[n].tell = false;
  op[n].to.v = 0; op[n].to.pair = 0; op[n].to.a = 0; op[n].to.b = 0; op[n].to.third = 0
}

/* Reads the register, and plans. What changes nothing needs no write, unless an earlier write may still be under way. */
inline begin(n, task, mover)
{
  ownsLease(n);
#ifdef DEBT_FORGOTTEN
  if
  :: task == JOIN -> owed[mover] = false
  :: else
  fi;
#endif
  COPY(room, next);
  next.v = room.v + 1;
  heal(n, task, mover);
  COPY(next, healed);
  if
  :: task == JOIN -> join(n, mover)
  :: DEPARTS(task) -> remove(mover)
  :: task == LOOK -> stale[n] = false
  fi;
  samePair(healed);
  if
  :: next.pair != room.pair || next.a != room.a || next.b != room.b || next.third != room.third || unsure[n] ->
     op[n].what = task; op[n].who = mover; op[n].by = ID(n); op[n].expected = room.v;
     COPY(next, op[n].to);
     op[n].tell = (SITS_AT(room, 1 - n) || SITS_AT(next, 1 - n) || unsure[n]);
     op[n].phase = SENT
  :: else ->
     next.v = room.v;
     adopt(n, task, mover);
     unclaimed[n] = false;
     finish(n, task, mover)
  fi
}

/* Not done; it begins again. */
inline again(n)
{
  stale[n] = (stale[n] || op[n].what == LOOK);
  endOperation(n)
}

inline forgetStraggler()
{
  late.there = false; late.by = 0; late.expected = 0;
  late.to.v = 0; late.to.pair = 0; late.to.a = 0; late.to.b = 0; late.to.third = 0
}

/* One that would be refused whenever it came is forgotten at once. */
inline dropStraggler()
{
  if
  :: late.there && !(SET_HOLDS(late.expected, late.by)) -> forgetStraggler()
  :: else
  fi
}

/* Redis carries the write out, or refuses it. */
inline compareAndSet(n)
{
  if
  :: SET_HOLDS(op[n].expected, op[n].by) ->
     takesNoLivingSeat(op[n].to, op[n].what, op[n].who);
     COPY(op[n].to, room);
#ifdef VERSIONS_REUSED
     if
     :: room.a == EMPTY -> room.v = 0; room.pair = 0
     :: else
     fi;
#endif
     dropStraggler();
     op[n].phase = DONE
  :: else -> again(n)
  fi
}

inline doubt(n)
{
#ifndef OUTCOME_FORGOTTEN
  unsure[n] = true
#else
  skip
#endif
}

/* The answer. A join that was made under a lease which is lost by now is told to nobody, and made again. */
inline answered(n)
{
  if
  :: op[n].by != ID(n) && !DEPARTS(op[n].what) -> doubt(n); again(n)
  :: else ->
     COPY(op[n].to, next);
     adopt(n, op[n].what, op[n].who);
     unclaimed[n] = (unclaimed[n] && op[n].by != ID(n));
     finish(n, op[n].what, op[n].who);
     if
     :: op[n].tell -> op[n].phase = TELLING
     :: else -> unsure[n] = false; endOperation(n)
     fi
  fi
}

inline post(n, what, one, two, three, four, five)
{
  if
  :: state[n] != DOWN -> assert(nfull(inbox[n])); inbox[n] ! what, one, two, three, four, five
  :: else
  fi
}

inline publish(n)
{
  post(1 - n, NOTICE, op[n].expected, op[n].to.v, op[n].to.pair, op[n].to.a, op[n].to.b);
  unsure[n] = false;
  endOperation(n)
}

inline partLocally(n, x, y)
{
  if
  :: AT(y, n) && seated[y] && peer[y] == x -> forget(y)
  :: else
  fi
}

/* No answer: the write was carried out, or was not, or will be. Who wanted to go has gone as far as this node is concerned. */
inline giveUp(n)
{
  doubt(n);
  if
  :: op[n].what == LOOK -> stale[n] = true
  :: op[n].what == JOIN -> want[op[n].who] = NOTHING; owed[op[n].who] = !seated[op[n].who];
     if
     :: gone[op[n].who] && seated[op[n].who] -> want[op[n].who] = DISCONNECT
     :: else
     fi
  :: DEPARTS(op[n].what) ->
     want[op[n].who] = NOTHING; owed[op[n].who] = true; seated[op[n].who] = false; forget(op[n].who);
     partLocally(n, op[n].who, 0); partLocally(n, op[n].who, 1); partLocally(n, op[n].who, 2);
     view[n] = (HAS_SEATS(n) -> view[n] : 0)
  fi;
  endOperation(n)
}
