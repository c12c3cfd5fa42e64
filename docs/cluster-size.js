// Calculates the nodes and Redis servers that a load needs, from the measured cost of each event. cluster-size.html has
// the inputs; `npm run bench` writes the tables in cluster.md with the default inputs. A plain script, because browsers
// load no modules from files.

/** The load and the machines: assumptions, not measurements. Each has a default and a description. */
const INPUTS = {
  connections: [1_000_000, 'connections'],
  pairingsPerSecond: [
    1000,
    'pairings a second; both devices of each then connect and join their room',
  ],
  descriptionsPerPairing: [2, 'offers and answers of a pair'],
  candidatesPerPairing: [20, 'ICE candidates of a pair'],
  // The SDK connects before it knows the room of a new pairing. Its later connections have the hint.
  hintedShare: [
    0,
    'share of new pairs that the room hint brings to one node; the others are at nodes by chance',
  ],
  secondsToAccept: [30, 'seconds that a code waits for the second device'],
  // `@couplet/client` sends a key with each; of the two checks, the second is kept.
  recordsPerPairing: [3, 'requests of a pairing that have an `Idempotency-Key`'],
  roomDays: [1, 'days that a paired room is kept (`ROOM_IDLE_DAYS`)'],
  heartbeatSeconds: [30, 'seconds between two pings (`HEARTBEAT_SECONDS`)'],
  connectionsPerNode: [50_000, 'connections of a node (`MAX_CONNECTIONS`)'],
  nodeGb: [1, 'GB of memory of a node; a node has one core'],
  masterGb: [
    32,
    'GB of memory of a Redis master, except the one that has all of pairing; a master has one core',
  ],
  share: [0.5, 'share of each core and memory that should be used'],
};

/** How long an idempotency record is kept, and how long Redis keeps a room after its members have left. */
const RECORD_SECONDS = 600;
const LEFT_SECONDS = 120;
const DAY_SECONDS = 86_400;

/** An empty frame and its masked answer (RFC 6455 §5.2). */
const PING_BYTES = { toClients: 2, fromClients: 6 };

const NO_COST = {
  nodeMicroseconds: 0,
  redisMicroseconds: 0,
  commands: 0,
  toRedis: 0,
  fromRedis: 0,
  toClients: 0,
  fromClients: 0,
};

/**
 * Returns tables, each a list of rows whose first row is the head.
 *
 * @param load - a number for each of the inputs
 * @param measured - returns the figure of a row of performance/results.json
 */
function clusterSize(load, measured) {
  const { share, connections, pairingsPerSecond } = load;
  const memoryOfNode = measured('start/memory') * 1e6;
  // Measured with a crowd that is large compared with the reserves of a process.
  const memoryOfConnection = measured('idle/joined') * 1000;
  const byMemory = Math.ceil(
    (connections * memoryOfConnection) / (load.nodeGb * 1e9 * share - memoryOfNode),
  );
  const byConnections = Math.ceil(connections / load.connectionsPerNode);
  // With more nodes, more messages cross nodes, which may need more nodes: repeat until the number is stable.
  let nodes = Math.max(byMemory, byConnections);
  let flows = flowsOf(load, nodes, measured);
  let byCpu = coresOf(flows, 'nodeMicroseconds', share);
  while (byCpu > nodes) {
    nodes = byCpu;
    flows = flowsOf(load, nodes, measured);
    byCpu = coresOf(flows, 'nodeMicroseconds', share);
  }
  const total = (kind) => sumOf(flows.map(({ perSecond, cost }) => perSecond * cost[kind]));
  const [pairings, ...others] = flows;

  const kept = (seconds) => pairingsPerSecond * seconds;
  const ofPairing = [
    ['codes that wait', kept(load.secondsToAccept), measured('cluster/memory/pending')],
    ['paired rooms', kept(load.roomDays * DAY_SECONDS), measured('cluster/memory/room')],
    [
      'idempotency records',
      kept(load.recordsPerPairing * RECORD_SECONDS),
      measured('cluster/memory/record'),
    ],
  ];
  // Each room is left once, by both members.
  const live = [
    'rooms with live members, and just left',
    connections / 2 + kept(LEFT_SECONDS),
    measured('cluster/memory/live'),
  ];
  const bytesOf = ([, count, bytes]) => count * bytes;
  const pairingBytes = sumOf(ofPairing.map(bytesOf));
  const masters = [
    coresOf(others, 'redisMicroseconds', share),
    Math.ceil(bytesOf(live) / (load.masterGb * 1e9 * share)),
  ];
  const pairingCores = (pairings.perSecond * pairings.cost.redisMicroseconds) / 1e6;
  const network = ['fromClients', 'toClients', 'fromRedis', 'toRedis'].map(
    (kind) => (total(kind) * 8) / 1e6,
  );

  const perSecond = (name, rate, of) => [
    name,
    rate,
    of('nodeMicroseconds') / 1e6,
    of('redisMicroseconds') / 1e6,
    of('commands'),
    of('toRedis') / 1e6,
    of('fromRedis') / 1e6,
  ];
  return [
    [
      ['needed', 'number', 'by CPU', 'by memory', 'by connections'],
      ['nodes', ...[nodes, byCpu, byMemory, byConnections].map(String)],
      ['other masters of Redis', ...[Math.max(...masters), ...masters].map(String), ''],
    ],
    [
      ['', 'cores in use', 'GB in use', 'GB of memory'],
      [
        'the master of Redis that has all of pairing',
        pairingCores,
        pairingBytes / 1e9,
        pairingBytes / 1e9 / share,
      ],
      [
        'a node',
        total('nodeMicroseconds') / 1e6 / nodes,
        (memoryOfNode + (connections / nodes) * memoryOfConnection) / 1e9,
        load.nodeGb,
      ],
    ],
    [
      [
        'a second',
        'events',
        'cores of nodes',
        'cores of Redis',
        'commands',
        'MB to Redis',
        'MB from Redis',
      ],
      ...flows.map(({ name, perSecond: rate, cost }) =>
        perSecond(name, rate, (kind) => rate * cost[kind]),
      ),
      perSecond('together', '', total),
    ],
    [
      ['in Redis', 'number', 'bytes of each', 'GB'],
      ...[...ofPairing, live].map((row) => [...row, bytesOf(row) / 1e9]),
    ],
    [
      ['network in Mbit/s', 'from clients', 'to clients', 'from Redis', 'to Redis'],
      ['a node', ...network.map((all) => all / nodes)],
      ['all nodes', ...network],
    ],
    [
      ['', 'seconds'],
      ['a connection lasts', connections / (pairingsPerSecond * 2)],
    ],
  ];
}

/** The events per second, each with its cost, if connections go to this many nodes by the room hint or by chance. */
function flowsOf(load, nodes, measured) {
  const cluster = (id) => measured(`cluster/${id}`);
  const cpuOf = (id) => ({
    nodeMicroseconds: cluster(`${id}/serverMicroseconds`),
    redisMicroseconds: cluster(`${id}/redisMicroseconds`),
  });
  const redisOf = (id) => ({
    toRedis: cluster(`${id}/bytesIn`),
    fromRedis: cluster(`${id}/bytesOut`),
  });
  const clientsOf = (id) => ({
    fromClients: cluster(`${id}/bytesFromClients`),
    toClients: cluster(`${id}/bytesToClients`),
  });
  const [enter, end] = [cpuOf('enter'), cpuOf('end')];
  const within = {
    ...NO_COST,
    nodeMicroseconds: cluster('3/same/open/serverMicroseconds'),
    ...clientsOf('message'),
  };
  const between = {
    ...cpuOf('3/apart/open'),
    commands: cluster('message/apart/sent'),
    ...redisOf('3/apart/open'),
    ...clientsOf('message'),
  };
  /** A description needs more CPU time than a candidate, and has more bytes wherever it passes. */
  const larger = (cost) => {
    const factor = measured('forward/100/candidate/1') / measured('forward/100/offer/1');
    const moreBytes = measured('bytes/offer') - measured('bytes/candidate');
    const isTime = (kind) => kind.endsWith('Microseconds');
    return Object.fromEntries(
      Object.entries(cost).map(([kind, value]) => {
        if (kind === 'commands' || value === 0) return [kind, value];
        return [kind, isTime(kind) ? value * factor : value + moreBytes];
      }),
    );
  };
  const { pairingsPerSecond } = load;
  const descriptions = pairingsPerSecond * load.descriptionsPerPairing;
  const candidates = pairingsPerSecond * load.candidatesPerPairing;
  const same = load.hintedShare + (1 - load.hintedShare) / nodes;
  const flow = (name, perSecond, cost) => ({ name, perSecond, cost });
  return [
    flow('pairings', pairingsPerSecond, {
      ...cpuOf('3/pairing'),
      commands: cluster('pairing/sent'),
      ...redisOf('pairing'),
      ...clientsOf('3/pairing'),
    }),
    flow('clients that connect, join and go', pairingsPerSecond * 2, {
      nodeMicroseconds: enter.nodeMicroseconds + end.nodeMicroseconds,
      redisMicroseconds: enter.redisMicroseconds + end.redisMicroseconds,
      commands: cluster('join/sent') + cluster('leave/sent'),
      ...redisOf('visit'),
      ...clientsOf('visit'),
    }),
    flow('candidates within a node', candidates * same, within),
    flow('candidates between nodes', candidates * (1 - same), between),
    flow('descriptions within a node', descriptions * same, larger(within)),
    flow('descriptions between nodes', descriptions * (1 - same), larger(between)),
    flow('pings', load.connections / load.heartbeatSeconds, {
      ...NO_COST,
      nodeMicroseconds: cluster('heartbeat/serverMicroseconds'),
      ...PING_BYTES,
    }),
  ];
}

const sumOf = (values) => values.reduce((sum, value) => sum + value, 0);

/** Number of cores if each is used up to this share. */
const coresOf = (flows, who, share) =>
  Math.ceil(sumOf(flows.map(({ perSecond, cost }) => perSecond * cost[who])) / 1e6 / share);

// For the page, and for `npm run bench`.
Object.assign(globalThis, { INPUTS, clusterSize });
