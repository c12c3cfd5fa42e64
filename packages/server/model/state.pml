/* What there is: the register of the room, two nodes, three connections, what is under way; and the words that the rest is written in. */

#define BIT(i) (1 << (i))

/* A member of the room: connection, and the lease of its node. */
#define NOBODY 3
#define EMPTY 0
#define MEMBER(x, id) (NOBODY - (x) + 4 * (id))
#define CONNECTION(m) (NOBODY - ((m) & 3))
#define NODE_ID(m) ((m) >> 2)

/* A node has two lives, each with a lease under an id of its own. */
#define ID(n) ((n) + NODES * lives[n])
#define NODE_OF(id) ((id) % NODES)

/* Version, version at which this company came together, members with the longest present first. `third` is there to show
   that nobody ever sits in it. */
typedef Room { byte v; byte pair; byte a; byte b; byte third }
#define COPY(from, into) into.v = from.v; into.pair = from.pair; into.a = from.a; into.b = from.b; into.third = from.third
#define SITS(r, x) (CONNECTION(r.a) == x || CONNECTION(r.b) == x || CONNECTION(r.third) == x)
#define IS_AT(m, n) (CONNECTION(m) != NOBODY && NODE_OF(NODE_ID(m)) == n)
#define SITS_AT(r, n) (IS_AT(r.a, n) || IS_AT(r.b, n))
#define OPPOSITE(r, x) (CONNECTION(r.a) == x -> CONNECTION(r.b) : CONNECTION(r.a))
#define SAME_COMPANY(r, s) ((SITS(s, CONNECTION(r.a)) && SITS(s, CONNECTION(r.b))) && \
                            (SITS(r, CONNECTION(s.a)) && SITS(r, CONNECTION(s.b))))

/* ---- Redis ---- */
Room room;                         /* the register */
byte leases = 3;                   /* ids whose lease runs */
byte known = 3;                    /* ids that ever had one */

/* A write that its node no longer waits for, and that may still be carried out. */
typedef Straggler { bool there; byte by; byte expected; Room to }
Straggler late;

/* ---- Nodes ---- */
#define UP 0
#define DOUBT 1                    /* paused, or without an answer from Redis, for longer than its lease is good by its own clocks */
#define DOWN 2
byte state[NODES];
bit lives[NODES];
byte dead[NODES];                  /* ids that it knows to have no lease any more */
byte view[NODES];                  /* version of the room that its connections know; 0: none of them sits */
bool stale[NODES];                 /* it has to read the room again */
bool unclaimed[NODES];             /* its seats stand under its former lease */
bool unsure[NODES];                /* a write of its was or will be carried out, or not */
byte severed[NODES];               /* the pair it told to be apart because Redis was away; 0: none */
#ifdef NO_CLOCK
bool overslept[NODES];
#endif

/* What is to be done for a connection; to look is for the room. */
#define NOTHING 0
#define JOIN 1
#define LEAVE 2
#define DISCONNECT 3
#define LOOK 4
#define DEPARTS(what) (what == LEAVE || what == DISCONNECT)

/* The operation under way; one at a time for each room and node. */
#define IDLE 0
#define SENT 1
#define DONE 2                     /* by Redis; the answer is on its way */
#define TELLING 3                  /* the node's own connections know */
typedef Operation { byte phase; byte what; byte who; byte by; byte expected; bool tell; Room to }
Operation op[NODES];

/* A notice: version before, then the room. A frame: from, to, pair, number. */
#define NOTICE 0
#define FRAME 1
chan inbox[NODES] = [INBOX] of { bit, byte, byte, byte, byte, byte };

/* ---- Connections ---- */
bool open[CONNECTIONS];
bool gone[CONNECTIONS];
bit at[CONNECTIONS];
byte want[CONNECTIONS];
bool seated[CONNECTIONS];
bool owed[CONNECTIONS];            /* its seat is to be given up as soon as that is possible */
/* What it was told: */
byte peer[CONNECTIONS] = NOBODY;
byte pair[CONNECTIONS];
bool initiator[CONNECTIONS];
byte ready[CONNECTIONS];           /* the last pair for which it got a room_ready */
byte heard[CONNECTIONS];           /* the last frame within the present pair */

/* ---- Spent of what the environment may do ---- */
byte faults;
byte churn;
byte frames;

/* Between steps these mean nothing, and are no part of a state. */
hidden Room next;
hidden Room healed;
hidden byte kind;
hidden byte before;
hidden byte found;

#define AT(x, n) ((open[x] || gone[x]) && at[x] == n)
#define HAS_SEATS(n) ((AT(0, n) && seated[0]) || (AT(1, n) && seated[1]) || (AT(2, n) && seated[2]))
#ifdef SAME_DEVICE
#define DEVICE(x) ((x) == 1 -> 0 : (x))
#else
#define DEVICE(x) (x)
#endif
