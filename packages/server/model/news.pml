/* What comes to a node from elsewhere: notices, frames, deaths, and what Redis says of its lease. */

/* A connection of this node that has a seat, and none in the notice: only a take-over that is told in order explains it. */
#define MISSING(x, n) (AT(x, n) && seated[x] && !SITS(next, x))
#define EXPLAINED(x, n) (!MISSING(x, n) || (before == view[n] && \
   ((CONNECTION(next.a) != NOBODY && DEVICE(CONNECTION(next.a)) == DEVICE(x)) || \
    (CONNECTION(next.b) != NOBODY && DEVICE(CONNECTION(next.b)) == DEVICE(x)))))

/* A notice, in `before` and `next`. */
inline heed(n)
{
  if
#ifdef NOTICES_UNCHECKED
  :: view[n] != 0 -> adopt(n, NOTHING, 0)
#else
  :: view[n] != 0 && next.v > view[n] ->
     if
     :: !unsure[n] && severed[n] == 0 && EXPLAINED(0, n) && EXPLAINED(1, n) && EXPLAINED(2, n) -> adopt(n, NOTHING, 0)
     :: else -> stale[n] = true
     fi
#endif
  :: else
  fi
}

inline deliver(sender, target, company, number)
{
  if
#ifdef PEER_UNCHECKED
  :: open[target] && seated[target] ->
#else
#ifdef PEERS_BY_ID
  :: open[target] && seated[target] && peer[target] == sender ->
#else
  :: open[target] && seated[target] && peer[target] == sender && pair[target] == company ->
#endif
#endif
     withinPair(sender, target, company, number);
     heard[target] = number
  :: else /* dropped, and counted */
  fi
}

inline readAgain(n)
{
  stale[n] = (stale[n] || INVOLVED(n))
}

inline noticeDeaths(n)
{
  dead[n] = known & ~leases;
#ifndef DEATHS_IGNORED
  readAgain(n)
#endif
}

inline beginAnew(n)
{
  lives[n] = 1; known = known | BIT(ID(n)); leases = leases | BIT(ID(n)); dead[n] = known & ~leases
}

/* A renewal prolongs a lease that still runs, and only that; otherwise a new one begins under a new id. */
inline askForLease(n)
{
#ifdef BLIND_RENEWAL
  leases = leases | BIT(ID(n));
#endif
  if
  :: leases & BIT(ID(n))
  :: else -> beginAnew(n); unclaimed[n] = HAS_SEATS(n)
  fi;
  readAgain(n);
  state[n] = UP
}
