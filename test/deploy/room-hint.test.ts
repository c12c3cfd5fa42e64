// The room hint with real balancers before three nodes: the shipped Caddyfile, and nginx and HAProxy of cluster.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pairDevices } from '@couplet/testkit/api';
import { makeCertificate } from '@couplet/testkit/certificate';
import { readMetric } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { freePort } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ROOT } from '../support.js';
import { type ClusterNode, startBalancer, startThreeNodes, untilReady } from './cluster.js';
import { nginxArguments, startProgram } from './proxy.js';
import { TalkingPair, UNHINTED } from './talking-pair.js';

/** Enough rooms that a node has none only with a chance of one in millions. */
const PAIRS = 40;

/** Without the hint, at least two of three messages cross nodes. */
const MOST = 0.15;

const folder = temporaryFolder();
const paper = readFileSync(`${ROOT}docs/cluster.md`, 'utf8');

interface Balancer {
  wsUrl: string;
  stop(): Promise<void>;
}

/** A configuration of docs/cluster.md, for these nodes. */
function described(language: string, nodes: readonly ClusterNode[]): string {
  const text = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(paper)?.[1];
  if (text === undefined) throw new Error(`docs/cluster.md has no ${language}`);
  return nodes.reduce((changed, { url }, n) => {
    const address = `10.0.0.1${n + 1}:8080`;
    if (!changed.includes(address)) throw new Error(`the ${language} has no ${address}`);
    return changed.replace(address, new URL(url).host);
  }, text);
}

/** The nodes behind every balancer: they start with the first. */
let cluster: ReturnType<typeof startThreeNodes> | undefined;
const threeNodes = () => (cluster ??= startThreeNodes(folder));
afterAll(async () => (await cluster)?.stop());

const BALANCERS: Record<string, (nodes: readonly ClusterNode[]) => Promise<Balancer>> = {
  caddy: (nodes) => startBalancer(folder, nodes),
  async nginx(nodes) {
    const [http, https] = [await freePort(), await freePort()];
    const tls = makeCertificate(folder);
    const upstream = /upstream couplet \{[^}]*\}/.exec(
      readFileSync(`${ROOT}deploy/nginx.conf`, 'utf8'),
    );
    const args = nginxArguments(folder, { http, https, server: 8080 }, tls, {
      [String(upstream)]: described('nginx', nodes),
      // The test uses plain HTTP.
      [`listen 127.0.0.1:${https} ssl;`]: `listen 127.0.0.1:${https};`,
    });
    const { stop } = await startProgram('nginx', args, https, {});
    return { wsUrl: `ws://127.0.0.1:${https}`, stop };
  },
  async haproxy(nodes) {
    const port = await freePort();
    const file = join(folder, 'haproxy.cfg');
    const text = described('haproxy', nodes);
    const plain = text
      .replace(/bind :443.*/, `bind 127.0.0.1:${port}`)
      // A slow machine makes no node unavailable.
      .replace('timeout connect 1s', 'timeout connect 60s\n    timeout check 60s');
    writeFileSync(file, plain);
    const { stop } = await startProgram('haproxy', ['-db', '-f', file], port, {});
    return { wsUrl: `ws://127.0.0.1:${port}`, stop };
  },
};

for (const [program, start] of Object.entries(BALANCERS)) {
  describeWith([program, 'redis-server', 'openssl'], `${program} with the room hint`, () => {
    let nodes: ClusterNode[];
    let balancer: Balancer | undefined;
    const pairs: TalkingPair[] = [];
    let wsUrl: string;

    beforeAll(async () => {
      nodes = (await threeNodes()).nodes;
      balancer = await start(nodes);
      wsUrl = balancer.wsUrl;
    });
    afterAll(async () => {
      for (const pair of pairs) pair.close();
      await balancer?.stop();
    });

    const metric = (name: string, of: readonly ClusterNode[]) =>
      Promise.all(of.map(({ url }) => readMetric(url, name)));
    /** Messages that these nodes have sent to others. */
    const crossed = async (of: readonly ClusterNode[]) =>
      (await metric('couplet_node_frames_sent_total', of)).reduce((sum, count) => sum + count);
    const allTogether = () => pairs.every(({ isTogether }) => isTogether);

    /** The share of messages that these nodes send to others while every pair exchanges messages in both directions. */
    async function crossingShare(of: readonly ClusterNode[]): Promise<number> {
      await expect.poll(allTogether).toBe(true);
      const before = await crossed(of);
      const received = pairs.map((pair) => pair.received);
      const heard = () => pairs.map((pair, n) => pair.received - Number(received[n]));
      await expect.poll(() => Math.min(...heard())).toBeGreaterThan(10);
      const all = heard().reduce((sum, count) => sum + count);
      return ((await crossed(of)) - before) / all;
    }

    test('both members of every room are on one node, and every node has some', async () => {
      const rooms = Array.from({ length: PAIRS }, (_, n) =>
        pairDevices((nodes[n % nodes.length] as ClusterNode).url),
      );
      for (const { roomid, client1, client2 } of await Promise.all(rooms)) {
        pairs.push(new TalkingPair(wsUrl, roomid, [client1, client2]));
      }
      expect(await crossingShare(nodes)).toBeLessThan(MOST);
      expect(Math.min(...(await metric('couplet_connections', nodes)))).toBeGreaterThan(0);
    });

    test('clients without the hint are distributed over the nodes, and exchange messages', async () => {
      const before = await crossed(nodes);
      const unhinted = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const { roomid, client1, client2 } = await pairDevices((nodes[0] as ClusterNode).url);
          return new TalkingPair(wsUrl, roomid, [client1, client2], UNHINTED);
        }),
      );
      onTestFinished(() => {
        for (const pair of unhinted) pair.close();
      });
      await expect
        .poll(() => Math.min(...unhinted.map(({ received }) => received)))
        .toBeGreaterThan(1);
      expect((await crossed(nodes)) - before).toBeGreaterThan(0);
    });

    test('when a node is killed, the members of its rooms meet on another node', async () => {
      const [victim, ...others] = nodes as [ClusterNode, ...ClusterNode[]];
      await victim.kill();
      await expect.poll(allTogether).toBe(false);
      const share = await crossingShare(others);
      expect(pairs.flatMap(({ faults }) => faults)).toEqual([]);
      expect(share).toBeLessThan(MOST);
      await victim.start();
      await untilReady([victim]);
    });
  });
}
