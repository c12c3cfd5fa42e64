// Pairing on disks with slower durable writes: a single client, many clients, and the effect on forwarding.
import { type Contender, contest, rowOf, type Scale } from '../conductor/contest.js';
import { compileSlowFsync, withSlowFsync } from '../conductor/slow-fsync.js';
import { SPECS } from '../conductor/specs.js';
import type { Row } from '../figures/row.js';
import { FORWARDS_PER_SECOND, forwardingWhile } from './mixed.js';
import { pairingJob } from './pairing.js';

/** Added time of every fsync, in milliseconds: none, a fair SSD whose cache does not lie about syncs, a hard disk. */
const DELAYS_MS = [0, 5, 20];
const CLIENTS = 32;
/** A pairing rate that the slowest of these disks can keep while others forward, so that the disk is never idle. */
const PAIRINGS_PER_SECOND = 100;

/** No rows if the disk cannot be slowed down. */
export async function slowDisk(scale: Scale): Promise<Row[]> {
  const library = compileSlowFsync(scale.workFolder);
  if (library === null) {
    process.stdout.write('  note: not measured, that takes Linux and a C compiler (cc)\n');
    return [];
  }
  const delays = scale.short ? DELAYS_MS.slice(0, 2) : DELAYS_MS;
  const contenders: Record<string, Contender> = {};
  for (const ms of delays) {
    const spec = withSlowFsync(SPECS.couplet, library, ms);
    contenders[`${ms}/lone`] = { spec, job: pairingJob(1) };
    contenders[`${ms}/many`] = { spec, job: pairingJob(CLIENTS) };
    contenders[`${ms}/forwarding`] = forwardingWhile(spec, PAIRINGS_PER_SECOND);
  }
  const measured = await contest(contenders, {
    ...scale,
    rounds: Math.min(scale.rounds, 2),
    seconds: scale.seconds * 2,
  });
  const while_ = `forwarding at ${FORWARDS_PER_SECOND} messages/s, while ${PAIRINGS_PER_SECOND} pairings/s are committed`;
  return delays.flatMap((ms) => {
    const row = (id: string, label: string, load: string, value: string, unit = 'ms'): Row =>
      rowOf(
        {
          id: `slow-disk/${ms}/${id}`,
          label: `${ms === 0 ? 'the disk as it is' : `fsync ${ms} ms longer`}: ${label}`,
          unit,
          better: unit === 'ms' ? 'less' : 'more',
        },
        { couplet: measured[`${ms}/${load}`] ?? [] },
        value,
      );
    return [
      row('loneP50', 'a single pairing, median', 'lone', 'flowP50'),
      row('flows', `pairings of ${CLIENTS} clients`, 'many', 'flowsPerSecond', 'pairings/s'),
      row('forwardP50', `${while_}, median`, 'forwarding', 'p50'),
      row('forwardP99', `${while_}, p99`, 'forwarding', 'p99'),
    ];
  });
}
