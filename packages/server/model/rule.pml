/* What a node makes of a room that it is about to change, in `next`: first the room is healed, then it is the turn of the rule. */

inline remove(x)
{
  if
  :: CONNECTION(next.a) == x && x != NOBODY -> next.a = next.b; next.b = EMPTY
  :: CONNECTION(next.a) != x && CONNECTION(next.b) == x && x != NOBODY -> next.b = EMPTY
  :: else
  fi
}

/* Another connection of the same device, in `found`. */
inline findGhost(x)
{
  found = NOBODY;
  if
  :: CONNECTION(next.a) != NOBODY && CONNECTION(next.a) != x && DEVICE(CONNECTION(next.a)) == DEVICE(x) -> found = CONNECTION(next.a)
  :: else ->
     if
     :: CONNECTION(next.b) != NOBODY && CONNECTION(next.b) != x && DEVICE(CONNECTION(next.b)) == DEVICE(x) -> found = CONNECTION(next.b)
     :: else
     fi
  fi
}

/* `transition` of src/signaling/room.ts. */
inline join(n, x)
{
  findGhost(x);
  if
  :: SITS(next, x) /* disturbs nobody */
  :: !SITS(next, x) && found != NOBODY && found == CONNECTION(next.a) -> next.a = MEMBER(x, ID(n))
  :: !SITS(next, x) && found != NOBODY && found != CONNECTION(next.a) -> next.b = MEMBER(x, ID(n))
  :: !SITS(next, x) && found == NOBODY && next.a == EMPTY -> next.a = MEMBER(x, ID(n))
  :: !SITS(next, x) && found == NOBODY && next.a != EMPTY && next.b == EMPTY -> next.b = MEMBER(x, ID(n))
  :: !SITS(next, x) && found == NOBODY && next.a != EMPTY && next.b != EMPTY ->
#ifdef THIRD_LET_IN
     next.third = MEMBER(x, ID(n))
#else
     skip /* room_full */
#endif
  fi
}

/* ---- `heal` of src/signaling/cluster/room-plan.ts ---- */

#define HOLDS(x, n, what, who) (AT(x, n) && seated[x] && !(DEPARTS(what) && who == x))

/* Seats of this node stand under its present lease. */
inline renewSeat(m, n)
{
  if
  :: CONNECTION(m) != NOBODY && AT(CONNECTION(m), n) && seated[CONNECTION(m)] -> m = MEMBER(CONNECTION(m), ID(n))
  :: else
  fi
}

inline dropIfGone(m, n)
{
  if
  :: CONNECTION(m) != NOBODY && ((dead[n] & BIT(NODE_ID(m))) || (AT(CONNECTION(m), n) && owed[CONNECTION(m)])) -> remove(CONNECTION(m))
  :: else
  fi
}

/* A seat that others took for a dead one is taken again where it is free, and from nobody. */
inline claimAgain(x, n, what, who)
{
  if
  :: unclaimed[n] && HOLDS(x, n, what, who) && !SITS(next, x) ->
#ifdef TAKEN_BACK
     join(n, x)
#else
     findGhost(x);
     if
     :: found == NOBODY && (next.a == EMPTY || next.b == EMPTY) -> join(n, x)
     :: else
     fi
#endif
  :: else
  fi
}

inline samePair(r)
{
  if
  :: SAME_COMPANY(next, r) -> next.pair = r.pair
  :: else -> next.pair = next.v
  fi
}

/* Two of this node that are both back have not noticed anything: they are the pair they were, in its order. */
inline keepPair(x, y, n, what, who)
{
  if
  :: HOLDS(x, n, what, who) && HOLDS(y, n, what, who) && SITS(next, x) && SITS(next, y) && peer[x] == y ->
     next.pair = pair[x];
#ifndef ROLES_SWAPPED
     if
     :: initiator[x] != (CONNECTION(next.a) == x) -> found = next.a; next.a = next.b; next.b = found
     :: else
     fi
#endif
  :: else
  fi
}

inline heal(n, what, who)
{
  renewSeat(next.a, n);
  renewSeat(next.b, n);
  dropIfGone(next.b, n); /* before a: when a goes, b moves */
  dropIfGone(next.a, n);
  claimAgain(0, n, what, who); claimAgain(1, n, what, who); claimAgain(2, n, what, who);
  samePair(room);
  keepPair(0, 1, n, what, who); keepPair(1, 0, n, what, who);
  keepPair(0, 2, n, what, who); keepPair(2, 0, n, what, who);
  keepPair(1, 2, n, what, who); keepPair(2, 1, n, what, who);
#ifndef SEVERED_FORGOTTEN
  if
  :: severed[n] != 0 && severed[n] == next.pair && next.b != EMPTY -> next.pair = next.v
  :: else
  fi
#endif
}
