// Converts a V8 profile to the cost of each function and a call tree, within one span of time. Pure.

/** The parts of a .cpuprofile that are read; times are microseconds of the system's monotonic clock. */
export interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  startTime: number;
  samples: number[];
  timeDeltas: number[];
}

/** Time in a function and in the functions it called, in microseconds. */
export interface Call {
  name: string;
  /** Shortened path and line, or empty for code other than JavaScript. */
  place: string;
  self: number;
  total: number;
  callees: Map<string, Call>;
}

/** Not work of the process. */
const RESTING = new Set(['(idle)', '(root)']);

/** Merges the samples between two instants into one tree; a function is identified by name and place. */
export function callTree(profile: CpuProfile, from: number, to: number): Call {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const root: Call = { name: 'all', place: '', self: 0, total: 0, callees: new Map() };
  let at = profile.startTime;
  for (const [n, sample] of profile.samples.entries()) {
    const took = Math.max(0, profile.timeDeltas[n + 1] ?? 0);
    at += profile.timeDeltas[n] ?? 0;
    if (at < from || at > to) continue;
    const path: CpuProfile['nodes'][number]['callFrame'][] = [];
    for (let id: number | undefined = sample; id !== undefined; id = parents.get(id)) {
      const frame = nodes.get(id)?.callFrame;
      if (frame !== undefined) path.unshift(frame);
    }
    if (RESTING.has(path.at(-1)?.functionName ?? '')) continue;
    add(root, path.slice(1), took);
  }
  return root;
}

function add(root: Call, path: CpuProfile['nodes'][number]['callFrame'][], took: number): void {
  let call = root;
  call.total += took;
  for (const { functionName, url, lineNumber } of path) {
    const name = functionName || '(anonymous)';
    const place = url === '' ? '' : `${shortened(url)}:${lineNumber + 1}`;
    const key = `${name} ${place}`;
    const callee = call.callees.get(key) ?? { name, place, self: 0, total: 0, callees: new Map() };
    call.callees.set(key, callee);
    callee.total += took;
    call = callee;
  }
  call.self += took;
}

/** From the package on, because the path of the checkout is private. */
export const shortened = (url: string): string =>
  url.replace(/^(file:\/\/)?.*\/(node_modules|packages)\//, (_all, _scheme, folder) =>
    folder === 'packages' ? '' : 'node_modules/',
  );

/** Functions by their own time in descending order, as a share of the whole. */
export function largestCosts(root: Call): { name: string; place: string; share: number }[] {
  const costs = new Map<string, { name: string; place: string; share: number }>();
  const visit = ({ name, place, self, callees }: Call) => {
    const key = `${name} ${place}`;
    const cost = costs.get(key) ?? { name, place, share: 0 };
    cost.share += self / root.total;
    costs.set(key, cost);
    for (const callee of callees.values()) visit(callee);
  };
  visit(root);
  return [...costs.values()].sort((a, b) => b.share - a.share);
}
