// The path between two devices in each network: real browsers behind real NATs, with only the ICE servers of the server.

import { type Command, spawnCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { type Coturn, startCoturn } from '@couplet/testkit/coturn';
import { HOSTS, type HostName, Lab, PUBLIC_ADDRESS, PUBLIC_NETWORK } from '@couplet/testkit/lab';
import { LabDevice, launchBrowserOn, type SelectedPair } from '@couplet/testkit/lab-browser';
import { temporaryFolder } from '@couplet/testkit/server';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { lengthenLines } from '../support/long-line.js';
import { NETWORKS, type Path } from './networks.js';

const SECRET = 'the-secret-of-the-lab';
const STUN = `stun:${PUBLIC_ADDRESS}:3478`;
const TURN = [`turn:${PUBLIC_ADDRESS}:3478`, `turn:${PUBLIC_ADDRESS}:3478?transport=tcp`];

const PROGRAMS = ['network namespaces', 'ip', 'iptables', 'chromium', 'turnserver'];
describeWith(PROGRAMS, 'network → path', () => {
  const folder = temporaryFolder();
  const browsers = new Map<HostName, Browser>();
  const servers: Command[] = [];
  let lab: Lab;
  let coturn: Coturn | undefined;
  let withTurn: string;
  let withoutTurn: string;

  beforeAll(async () => {
    lab = new Lab();
    coturn = await startCoturn({
      prefix: lab.prefix('public'),
      env: {
        TURN_SECRET: SECRET,
        TURN_PORT: '3478',
        TURN_LISTEN_IPS: PUBLIC_ADDRESS,
        // The addresses of the lab are not public, so coturn would refuse them as peers.
        TURN_ALLOWED_PEERS: PUBLIC_NETWORK,
        TURN_VERBOSE: '1',
      },
    });
    await coturn.logged(`UDP listener opened on: ${PUBLIC_ADDRESS}:3478`);
    const serve = (port: number, env: Record<string, string>) => {
      const server = spawnCommand(['serve', '--sqlite'], {
        cwd: folder,
        prefix: lab.prefix('public'),
        env: {
          HOST: PUBLIC_ADDRESS,
          PORT: String(port),
          SQLITE_DB_PATH: ':memory:',
          STUN_URLS: STUN,
          ...env,
        },
      });
      servers.push(server);
      return server.listening;
    };
    withTurn = await serve(8080, { TURN_SECRET: SECRET, TURN_URLS: TURN.join() });
    withoutTurn = await serve(8081, {});
    for (const host of HOSTS) browsers.set(host, await launchBrowserOn(lab, host, folder));
  });
  afterAll(async () => {
    await Promise.all([...browsers.values()].map((browser) => browser.close()));
    await Promise.all(servers.map((server) => server.kill()));
    await coturn?.stop();
    lab?.remove();
  });

  /** Connects the phone and a guest in a room of the server. */
  const pair = async (guest: HostName, server: string): Promise<Pair> => {
    const both = [
      await LabDevice.open(browsers.get('phone'), server),
      await LabDevice.open(browsers.get(guest), server),
    ] as const;
    await both[0].pairWith(both[1]);
    return both;
  };

  test.each(NETWORKS)(
    '$network → $path',
    async (network) => {
      lab.route(network.routers);
      if (network.lines) onTestFinished(await lengthenLines(lab, network.lines));
      const both = await pair(network.guest, network.turn ? withTurn : withoutTurn);
      if (network.path === 'none') {
        await expectFailure(both);
      } else {
        await expectTalk(both);
        await expectPath(both, network.path, network.reached);
      }
    },
    60_000,
  );
});

type Pair = readonly [LabDevice, LabDevice];

/** Expects that the data channel opens and a message arrives in each direction. */
async function expectTalk([a, b]: Pair): Promise<void> {
  await Promise.all([a.opened(), b.opened()]);
  await a.sendText('from the phone');
  await b.sendText('from the guest');
  expect(await Promise.all([a.text(), b.text()])).toEqual(['from the guest', 'from the phone']);
}

/**
 * ICE may first nominate a pair and later replace it by a better one, so only two equal readings in a row count. Data
 * shows the side that does not nominate which pair the other side uses.
 */
async function expectPath(both: Pair, path: Path, reached: string[]): Promise<void> {
  let last: string | undefined;
  const readings = async () => {
    const before = last;
    await Promise.all(both.map((device) => device.sendText('which way')));
    last = pathOf(await selectedPairs(both));
    return [before, last];
  };
  await expect.poll(readings, { interval: 500, timeout: 15_000 }).toEqual([path, path]);
  const addresses = (await selectedPairs(both)).map((selected) => selected?.remote.address);
  expect(addresses).toEqual(expect.arrayContaining(reached));
}

/** Expects the result that docs/turn.md specifies for an app without a path. */
async function expectFailure(both: Pair): Promise<void> {
  await Promise.all(both.map((device) => device.failed()));
  for (const device of both) {
    const { connectionState, iceConnectionState, servers } = await device.peerConnection();
    expect(connectionState).toBe('failed');
    // Chromium never changes this state later, so an app must watch the other state.
    expect(['disconnected', 'failed']).toContain(iceConnectionState);
    expect(servers).toEqual([STUN]);
    expect(await device.selectedPair()).toBeNull();
  }
}

const selectedPairs = ([a, b]: Pair) => Promise.all([a.selectedPair(), b.selectedPair()]);

/** Returns the path, or both readings if the two devices differ. */
function pathOf(pairs: (SelectedPair | null)[]): string {
  const ends = pairs.flatMap((selected) => (selected ? [selected.local, selected.remote] : []));
  if (ends.length < 4) return 'none';
  const types = ends.map(({ candidateType }) => candidateType);
  if (types.every((type) => type === 'host')) return 'host';
  // A peer-reflexive candidate is a server-reflexive one that the peer saw before it received the candidate.
  if (types.every((type) => type === 'srflx' || type === 'prflx')) return 'srflx';
  const isRelayed = (selected: SelectedPair | null) =>
    selected?.local.candidateType === 'relay' || selected?.remote.candidateType === 'relay';
  if (!pairs.every(isRelayed)) return JSON.stringify(pairs);
  // A device has the relay protocol only of its own relayed address. If each sends to the other's address, neither has it.
  const protocols = ends.flatMap(({ relayProtocol }) => relayProtocol ?? []);
  return protocols.includes('tcp')
    ? `relay over ${[...new Set(protocols)].join().toUpperCase()}`
    : 'relay';
}
