// The load generator: a separate process that does one job on the conductor's orders and then ends.
import { cpuMilliseconds, queuedMilliseconds } from '../figures/process-usage.js';
import { CrowdLoad } from './crowd.js';
import { ClosedForwardLoad } from './forward-closed.js';
import { OpenForwardLoad } from './forward-open.js';
import type { Job, Load, Measurement, MixedJob, Order, Report } from './job.js';
import { PairingLoad } from './pairing.js';
import { WaitLoad } from './wait.js';

function loadFor(job: Job): Load {
  switch (job.kind) {
    case 'forward-closed':
      return new ClosedForwardLoad(job);
    case 'forward-open':
      return new OpenForwardLoad(job);
    case 'pairing':
      return new PairingLoad(job);
    case 'mixed':
      return mixedLoad(job);
    case 'wait':
      return new WaitLoad(job);
    case 'crowd':
      return new CrowdLoad(job);
    default:
      throw new Error(`unknown job: ${JSON.stringify(job satisfies never)}`);
  }
}

/**
 * Forwards and pairs at fixed rates from one event loop, because two generators on one core would delay each other. Has
 * the values of both; those that have the same name are of the forwarding.
 */
function mixedLoad({ forward, pairing }: MixedJob): Load {
  const loads: Load[] = [new OpenForwardLoad(forward)];
  if (pairing !== null) loads.unshift(new PairingLoad(pairing));
  return {
    async prepare() {
      for (const load of loads) await load.prepare();
    },
    async measure(seconds) {
      const measured = await Promise.all(loads.map((load) => load.measure(seconds)));
      return {
        values: Object.assign({}, ...measured.map(({ values }) => values)),
        errors: measured.reduce((sum, { errors }) => sum + errors, 0),
      };
    },
    stop: () => loads.forEach((load) => void load.stop()),
  };
}

/** Measures, and records CPU shares of both processes and the time that others kept them from their cores. */
async function measured(
  load: Load,
  seconds: number,
  serverPids: readonly number[],
): Promise<Measurement> {
  const usage = () => ({
    load: cpuMilliseconds(process.pid),
    server: sumOf(serverPids.map(cpuMilliseconds)),
    loadQueued: queuedMilliseconds(process.pid),
    // Nodes on one core make each other wait, which is not the effect of other processes.
    serverQueued: serverPids.length === 1 ? queuedMilliseconds(serverPids[0] as number) : null,
  });
  const startedAt = performance.now();
  const before = usage();
  const result = await load.measure(seconds);
  const elapsed = performance.now() - startedAt;
  const after = usage();
  const share = (of: keyof typeof before) => {
    const [earlier, later] = [before[of], after[of]];
    return earlier === null || later === null ? null : (later - earlier) / elapsed;
  };
  const queued = [share('loadQueued'), share('serverQueued')].filter((part) => part !== null);
  return {
    ...result,
    loadCpu: share('load'),
    serverCpu: share('server'),
    crowded: queued.length === 0 ? null : Math.max(...queued),
  };
}

const sumOf = (values: readonly (number | null)[]): number | null =>
  values.reduce((sum, value) => (sum === null || value === null ? null : sum + value), 0);

let load: Load | undefined;

async function obey(order: Order): Promise<Report> {
  if (order.order === 'prepare') {
    load = loadFor(order.job);
    await load.prepare();
    return { report: 'ready' };
  }
  if (load === undefined) throw new Error('nothing is prepared');
  return {
    report: 'measured',
    measurement: await measured(load, order.seconds, order.serverPids),
  };
}

process.on('message', (order: Order) => {
  obey(order)
    .catch((error: Error): Report => ({ report: 'failed', reason: error.message }))
    .then((report) => process.send?.(report));
});
// Without a conductor, it ends.
process.on('disconnect', () => process.exit(0));
