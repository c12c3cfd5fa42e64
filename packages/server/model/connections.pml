/* What the connections of a node are told: the seat, the peer, the pair. */

/* Where it was does not matter any more, unless a seat of its is still to be given up. */
inline leaveForGood(x)
{
  open[x] = false; gone[x] = true; ready[x] = 0;
  at[x] = (seated[x] || owed[x] || want[x] != NOTHING -> at[x] : 0)
}

inline forget(x)
{
  peer[x] = NOBODY; pair[x] = 0; initiator[x] = false; heard[x] = 0
}

/* What a change means for one connection, told in one go: `catchUp`, or the effects of the rule. */
inline tellOne(n, x, task, mover)
{
  if
  :: AT(x, n) && (seated[x] || (task == JOIN && mover == x)) ->
     if
     :: SITS(next, x) && !(DEPARTS(task) && mover == x) ->
        seated[x] = true;
        if
        :: gone[x]
        :: open[x] && OPPOSITE(next, x) == NOBODY -> forget(x)
        :: open[x] && OPPOSITE(next, x) != NOBODY ->
           if
#ifdef PEERS_BY_ID
           :: peer[x] != OPPOSITE(next, x) ->
#else
           :: peer[x] != OPPOSITE(next, x) || pair[x] != next.pair ->
#endif
              forget(x);
              peer[x] = OPPOSITE(next, x); pair[x] = next.pair; initiator[x] = (CONNECTION(next.a) == x);
              toldReady(x)
           :: else
           fi
        fi
     :: else -> /* the seat is lost: to its own departure, or to another connection */
        if
        :: seated[x] ->
           forget(x); seated[x] = false;
           if
           :: open[x] && !(DEPARTS(task) && mover == x) -> leaveForGood(x); want[x] = NOTHING
           :: else
           fi
        :: else
        fi
     fi
  :: else
  fi
}

inline adopt(n, task, mover)
{
  ownsLease(n);
  tellOne(n, 0, task, mover);
  tellOne(n, 1, task, mover);
  tellOne(n, 2, task, mover);
  view[n] = (HAS_SEATS(n) -> next.v : 0)
}
