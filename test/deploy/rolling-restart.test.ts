// A rolling restart of three nodes behind Caddy under active pairs: no pair waits for the end of a lease.
// ROLLING_PAIRS=500 npm test -- test/deploy/rolling-restart.test.ts measures more pairs.

import { randomUUID } from 'node:crypto';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { startBalancer, startThreeNodes, untilReady } from './cluster.js';
import { TalkingPair, UNHINTED } from './talking-pair.js';

const PAIRS = Number(process.env.ROLLING_PAIRS ?? 12);

const folder = temporaryFolder();

describeWith(['caddy', 'redis-server'], 'a rolling restart', () => {
  test('frees every seat at once, and pairs go on talking, with and without the room hint', async () => {
    const { nodes, stop } = await startThreeNodes(folder, {
      // As in docker-compose.cluster.yml.
      SHUTDOWN_NOTICE_SECONDS: '4',
      // A seat that a node does not free when it shuts down is free at the end of its lease, after this test.
      LEASE_SECONDS: '300',
    });
    onTestFinished(stop);
    const balancer = await startBalancer(folder, nodes);
    onTestFinished(balancer.stop);

    const pairs: TalkingPair[] = [];
    onTestFinished(() => {
      for (const pair of pairs) pair.close();
    });
    for (let n = 0; n < PAIRS; n++) {
      const socket = n % 2 === 0 ? undefined : UNHINTED;
      // Without device ids, so that a connection cannot take over its seat from one that is still in the room.
      pairs.push(new TalkingPair(balancer.wsUrl, randomUUID(), ['', ''], socket));
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
    // The first is from the start; later, each connection of the start was on one of the three nodes.
    const apart = pairs.flatMap(({ apartMs }) => apartMs.slice(1)).toSorted((a, b) => a - b);
    expect(apart.length).toBeGreaterThanOrEqual(PAIRS);
    const [median = 0, longest = 0] = [apart[Math.floor(apart.length / 2)], apart.at(-1)];
    const figures = `apart ${apart.length} times, ${Math.round(median)} ms at the median, ${Math.round(longest)} ms at the longest`;
    process.stdout.write(`rolling restart of 3 nodes under ${PAIRS} pairs: ${figures}\n`);
  });
});
