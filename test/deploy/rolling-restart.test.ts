// A rolling restart of three nodes behind Caddy under active pairs: no pair is apart for longer than its own reconnect.
// ROLLING_PAIRS=500 npm test -- test/deploy/rolling-restart.test.ts measures more pairs.

import { pairDevices } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { startBalancer, startThreeNodes, untilReady } from './cluster.js';
import { TalkingPair, UNHINTED } from './talking-pair.js';

const PAIRS = Number(process.env.ROLLING_PAIRS ?? 12);

const LEASE_SECONDS = 60;

/** Without a hand-over, a pair waits for the expiry of the lease, which is longer. A slow machine needs less than half of this. */
const SLACK_MS = 30_000;

const folder = temporaryFolder();

/** The value that this share of the values does not exceed. */
const percentile = (values: readonly number[], percent: number): number =>
  values.toSorted((a, b) => a - b)[Math.ceil((values.length * percent) / 100) - 1] as number;

describeWith(['caddy', 'redis-server'], 'a rolling restart', () => {
  test('interrupts no pair for longer than its own reconnect, with and without the room hint', async () => {
    const { nodes, stop } = await startThreeNodes(folder, {
      // As in docker-compose.cluster.yml.
      SHUTDOWN_NOTICE_SECONDS: '4',
      LEASE_SECONDS: String(LEASE_SECONDS),
    });
    onTestFinished(stop);
    const balancer = await startBalancer(folder, nodes);
    onTestFinished(balancer.stop);

    const pairs: TalkingPair[] = [];
    onTestFinished(() => {
      for (const pair of pairs) pair.close();
    });
    for (let n = 0; n < PAIRS; n++) {
      const { roomid, client1, client2 } = await pairDevices(balancer.url);
      const socket = n % 2 === 0 ? undefined : UNHINTED;
      pairs.push(new TalkingPair(balancer.wsUrl, roomid, [client1, client2], socket));
    }
    const allTogether = () => pairs.every(({ isTogether }) => isTogether);
    await expect.poll(allTogether).toBe(true);

    for (const node of nodes) {
      await node.shutDown();
      await node.start();
      await untilReady([node]);
      await expect.poll(allTogether).toBe(true);
    }
    const received = pairs.map((pair) => pair.received);
    await expect
      .poll(() => pairs.every((pair, n) => pair.received > (received[n] as number)))
      .toBe(true);

    expect(pairs.flatMap(({ faults }) => faults)).toEqual([]);
    const partings = pairs.flatMap((pair) => pair.partings);
    // Each connection at the start was on one of the three nodes.
    expect(partings.length).toBeGreaterThanOrEqual(PAIRS);
    const beyond = partings.map(({ idleMs }) => idleMs);
    const apart = partings.map(({ apartMs }) => apartMs);
    const ms = (value: number) => `${Math.round(value)} ms`;
    process.stdout.write(
      [
        `rolling restart of 3 nodes under ${PAIRS} pairs, half of them without the room hint, ${partings.length} partings:`,
        `apart for ${ms(percentile(apart, 50))} (median), ${ms(percentile(apart, 99))} (99 %), ${ms(Math.max(...apart))} (longest);`,
        `of that, with neither client on its way back: ${ms(percentile(beyond, 50))} (median), ${ms(Math.max(...beyond))} (longest)\n`,
      ].join('\n'),
    );
    expect(Math.max(...beyond)).toBeLessThan(SLACK_MS);
  });
});
