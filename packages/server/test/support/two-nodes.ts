// Runs two nodes of a cluster in memory, for tests of a room with members on both nodes and of node failures.
//
// Stories have these steps. Connections a, c, e … are on the first node, b, d, f … on the second. `first` stands for either node.
//
//   Connections
//     a joins [as DEVICE] [in ROOM]   in room r by default; `= seated`, `= full` or `= unavailable` is the expected outcome
//     a and b meet                    both join r, and their messages so far are discarded
//     a leaves, a hangs up
//     a to b: TEXT                    forwards a frame from a to its peer b
//     b heard ONE, TWO                b has got exactly these frames so far
//     a told ONE, TWO                 since the last `told` or `read`, the server has sent a exactly these messages and closes
//     a last told ONE                 this is the last of them
//     read a, b                       discards them
//     a was not closed, a sits alone
//
//   Nodes
//     first pauses, resumes           as by SIGSTOP and SIGCONT
//     first is cut, is mended         all its calls fail and it receives nothing; then it subscribes again
//     first refuses CALL …            these calls fail (`Call`)
//     first loses CALL …              these calls are carried out, and their answers are lost
//     first works                     all calls succeed again
//     first is deaf, hears            incoming updates and frames are lost; no longer
//     first is unsubscribed           publications to it fail, until it `hears`
//     first keeps what comes          delays what comes until it `gets what it kept`
//     first resubscribes              is notified that its subscription was renewed
//     first has no lease              its lease is deleted; `asks for its lease` asks whether it is valid
//     first has the only lease        expects that
//     first alone passes MS           moves only the clock of this node
//     first alone stands still MS     the same, as for a process that is paused
//     first sets its clock by MS      moves only its wall clock
//     first is ready, is not ready, stops
//     first counts NAME N             expects this value of a counter
//     first has most of its lease     left at its last renewal
//
//   All
//     settle                          waits until no node is busy and nothing is in transit
//     pass MS                         moves all clocks; `BOUND` is the time in which a dead node is detected
//     pass MS without publications    the same, and expects none between nodes; or some, `with publications`
//     members a, b                    expects these members in the record of r, in this order
//     dropped N                       expects this number of dropped frames
//     store is full, forgets the rooms, forgets the leases
//     store is copied, goes back      restores the copy, as a failover to a replica that lags behind
import { rowsOf, stepsOf } from '@couplet/testkit/stories';
import { expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../src/base/failures.js';
import { RecordingConnections } from '../contract/backplane.js';
import { type Call, type FakeNode, FakeNodes, type Fate, LEASE_MS } from './cluster-nodes.js';

export const seat = (connectionId: string, deviceId: string | null = null) => ({
  connectionId,
  deviceId,
});

/** Two nodes with their leases. The caller closes them. */
export async function openStage() {
  const connections = new RecordingConnections();
  const world = new FakeNodes(connections, 2);
  const [first, second] = world.nodes as [FakeNode, FakeNode];
  await world.settle();
  const join = (id: string, deviceId: string | null = null, roomId = 'r') =>
    world.backplaneOf(id).join(roomId, seat(id, deviceId), null, null);
  /** Puts two members in a room, and reads all messages about it. */
  const pair = async (one: string, other: string) => {
    await join(one);
    await join(other);
    await world.settle();
    connections.take(one);
    connections.take(other);
  };
  const members = () => world.record('r').members.map(({ connectionId }) => connectionId);
  const { log } = world;
  /** What a node has received and not read. */
  const kept: string[] = [];
  /** Copies of the records. */
  const before = new Map<string, string>();
  return { connections, world, first, second, join, pair, members, log, kept, before };
}

/** The same, closed when the test ends. */
export async function twoNodes() {
  const stage = await openStage();
  onTestFinished(() => stage.world.close());
  return stage;
}

/** Sets the fate of some calls of a node. */
function fail(node: FakeNode, fate: Fate, calls: string[]): void {
  node.fate = (call: Call) => (calls.includes(call) ? fate : 'fine');
}

/** The last renewal was up to a third of a lease before the end; the other nodes check at the same interval. */
export const BOUND_MS = LEASE_MS + LEASE_MS / 3 + 500;

export type Stage = Awaited<ReturnType<typeof openStage>>;

const list = (words = '') => (words === 'nothing' || words === 'nobody' ? [] : words.split(', '));

/** Steps of a node. The rest of a step are its arguments. */
const OF_NODE: Record<string, (node: FakeNode, stage: Stage, ...args: string[]) => unknown> = {
  pauses: (node) => node.pause(),
  resumes: (node) => node.resume(),
  'is cut': (node) => node.cut(),
  'is mended': (node) => node.mend(),
  refuses: (node, _, ...calls) => fail(node, 'refused', calls),
  loses: (node, _, ...calls) => fail(node, 'lost', calls),
  works: (node) => fail(node, 'fine', []),
  hears: (node) => node.hear(),
  'is deaf': (node) => Object.assign(node, { receive: () => {} }),
  'is unsubscribed': (node) => Object.assign(node, { receive: undefined }),
  'keeps what comes': (node, { kept }) =>
    Object.assign(node, { receive: (text: string) => kept.push(text) }),
  'gets what it kept': ({ backplane }, { kept }) => kept.map((text) => backplane.receive(text)),
  resubscribes: ({ backplane }) => backplane.resubscribed(),
  'asks for its lease': ({ backplane }) => backplane.lease.ask(),
  'has no lease': ({ backplane }, { world }) => world.leases.delete(backplane.lease.id),
  'has the only lease': ({ backplane }, { world }) =>
    expect([...world.leases.keys()]).toEqual([backplane.lease.id]),
  'has most of its lease': ({ backplane }) =>
    expect(backplane.lease.marginMs).toBeGreaterThan(LEASE_MS / 2),
  'alone passes': ({ clock }, _, ms) => clock.advance(Number(ms)),
  'alone stands still': ({ clock }, _, ms) => clock.pause(Number(ms)),
  'sets its clock by': ({ clock }, _, ms) => clock.set(Number(ms)),
  stops: ({ backplane }) => backplane.close(),
  'is ready': ({ backplane }) => backplane.check(),
  'is not ready': ({ backplane }) => expect(backplane.check()).rejects.toThrow(),
  counts: ({ backplane: { counters, lease } }, _, path = '', count) =>
    expect({ ...counters, lease }).toHaveProperty(path, Number(count)),
};

function ofNode(stage: Stage, name = '', rest = '') {
  const verb = Object.keys(OF_NODE).find((each) => `${rest} `.startsWith(`${each} `));
  if (verb === undefined) throw new Error('no step of a node');
  const args = rest.slice(verb.length).trim().split(' ');
  return OF_NODE[verb]?.(name === 'first' ? stage.first : stage.second, stage, ...args);
}

async function joins(stage: Stage, id = '', device?: string, room?: string, outcome?: string) {
  const got = await stage.join(id, device ?? null, room).then(
    (isSeated) => (isSeated ? 'seated' : 'full'),
    (error) => (error instanceof Unavailable ? 'unavailable' : Promise.reject(error)),
  );
  if (outcome === undefined) expect(got).not.toBe('unavailable');
  else expect(got).toBe(outcome);
}

const STEPS: readonly (readonly [RegExp, (stage: Stage, ...words: string[]) => unknown])[] = [
  [/^(first|second) (.*)$/, ofNode],
  [/^(\w) joins(?: as (\w+))?(?: in (\w+))?(?: = (\w+))?$/, joins],
  [/^(\w) and (\w) meet$/, ({ pair }, one = '', other = '') => pair(one, other)],
  [/^(\w) leaves$/, ({ world }, id = '') => world.backplaneOf(id).depart('r', id, 'leave')],
  [/^(\w) hangs up$/, ({ world }, id = '') => world.backplaneOf(id).depart('r', id, 'disconnect')],
  [
    /^(\w) to (\w): (.*)$/,
    ({ world }, from = '', to = '', text = '') => world.backplaneOf(from).forward(from, to, text),
  ],
  [
    /^(\w) heard (.*)$/,
    ({ connections }, id = '', texts) => expect(connections.frames(id)).toEqual(list(texts)),
  ],
  [
    /^(\w) told (.*)$/,
    ({ connections }, id = '', told) => expect(connections.take(id)).toEqual(list(told)),
  ],
  [
    /^(\w) last told (.*)$/,
    ({ connections }, id = '', told) => expect(connections.take(id).at(-1)).toBe(told),
  ],
  [
    /^(\w) was not closed$/,
    ({ connections }, id = '') => expect(connections.take(id).join()).not.toContain('close'),
  ],
  [
    /^(\w) sits alone$/,
    ({ connections }, id = '') =>
      expect(connections.seats.get(id)).toMatchObject({ roomId: 'r', peerId: null }),
  ],
  [/^read (.*)$/, ({ connections }, ids) => list(ids).map((id) => connections.take(id))],
  [/^members (.*)$/, ({ members }, ids) => expect(members()).toEqual(list(ids))],
  [/^dropped (\d+)$/, ({ connections }, n) => expect(connections.dropped).toBe(Number(n))],
  [/^settle$/, ({ world }) => world.settle()],
  [/^pass (\w+)$/, ({ world }, ms) => world.pass(ms === 'BOUND' ? BOUND_MS : Number(ms))],
  [
    /^pass (\w+) (with|without) publications$/,
    async ({ world }, ms, which) => {
      const before = world.published;
      await world.pass(Number(ms));
      expect(world.published > before).toBe(which === 'with');
    },
  ],
  [/^store is full$/, ({ world }) => Object.assign(world, { isFull: true })],
  [/^store forgets the rooms$/, ({ world }) => world.records.clear()],
  [/^store forgets the leases$/, ({ world }) => world.leases.clear()],
  [/^store is copied$/, (stage) => Object.assign(stage, { before: new Map(stage.world.records) })],
  [/^store goes back$/, ({ world, before }) => Object.assign(world, { records: new Map(before) })],
];

export async function playStep(stage: Stage, step: string): Promise<unknown> {
  for (const [pattern, act] of STEPS) {
    const [matched, ...words] = pattern.exec(step) ?? [];
    if (matched !== undefined) return act(stage, ...words);
  }
  throw new Error('no such step');
}

/** Tests rows `title: step; …` ({@link rowsOf}). Steps that are joined by `&` begin in one turn. */
export function stories(table: string): void {
  test.each(rowsOf(table))('%s', async (_title, script) => {
    const stage = await twoNodes();
    for (const step of stepsOf(script)) {
      await Promise.all(step.split(' & ').map((each) => playStep(stage, each))).catch((error) => {
        error.message = `${step}: ${error.message}`;
        throw error;
      });
    }
  });
}
