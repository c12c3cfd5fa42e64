// Finds the most expensive functions of a V8 profile within one span of time. Pure.

/** The parts of a .cpuprofile that are read; times are microseconds of the system's monotonic clock. */
export interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  startTime: number;
  samples: number[];
  timeDeltas: number[];
}

export interface FunctionCost {
  name: string;
  /** Shortened path and line, or empty for code other than JavaScript. */
  place: string;
  /** Share of the time of all functions, without the functions that it called. */
  share: number;
}

/** Not work of the process. */
const RESTING: readonly string[] = ['(idle)', '(root)'];

/** Functions by their own time in descending order. */
export function largestCosts(profile: CpuProfile, from: number, to: number): FunctionCost[] {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const costs = new Map<string, FunctionCost>();
  let total = 0;
  let at = profile.startTime;
  for (const [n, sample] of profile.samples.entries()) {
    at += profile.timeDeltas[n] ?? 0;
    const frame = frames.get(sample);
    if (at < from || at > to || frame === undefined) continue;
    if (RESTING.includes(frame.functionName)) continue;
    const took = Math.max(0, profile.timeDeltas[n + 1] ?? 0);
    const name = frame.functionName || '(anonymous)';
    const place = frame.url === '' ? '' : `${shortened(frame.url)}:${frame.lineNumber + 1}`;
    const cost = costs.get(`${name} ${place}`) ?? { name, place, share: 0 };
    costs.set(`${name} ${place}`, cost);
    cost.share += took;
    total += took;
  }
  for (const cost of costs.values()) cost.share /= total;
  return [...costs.values()].sort((a, b) => b.share - a.share);
}

/** From the package on, because the path of the checkout is private. */
const shortened = (url: string): string =>
  url.replace(/^(file:\/\/)?.*\/(node_modules|packages)\//, (_all, _scheme, folder) =>
    folder === 'packages' ? '' : 'node_modules/',
  );
