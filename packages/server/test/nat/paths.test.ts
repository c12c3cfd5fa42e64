// The path between two devices in each network: real browsers behind real NATs, with only the ICE servers of the server.
import type { Device } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { HOSTS } from '@couplet/testkit/lab';
import { LAB_PROGRAMS, LAB_STUN, LAB_TURN, useLab } from '@couplet/testkit/lab-browser';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { lengthenLines } from '../support/long-line.js';
import { openPlainPage, pairPlain, plain } from '../support/plain-page.js';
import { NETWORKS, type Path } from './networks.js';

describeWith(LAB_PROGRAMS, 'network → path', () => {
  const { lab, browser, serve } = useLab(HOSTS);
  let withTurn: string;
  let withoutTurn: string;
  beforeAll(async () => {
    withTurn = await serve({ ...LAB_STUN, ...LAB_TURN });
    withoutTurn = await serve(LAB_STUN);
  });

  test.each(NETWORKS)('$network → $path', async (network) => {
    lab().route(network.routers);
    if (network.lines) onTestFinished(await lengthenLines(lab(), network.lines));
    const server = network.turn ? withTurn : withoutTurn;
    const phone = await openPlainPage(browser('phone'), server);
    const guest = await openPlainPage(browser(network.guest), server);
    await pairPlain(server, phone, guest);
    if (network.path === 'none') {
      await expectFailure([phone, guest]);
    } else {
      await expectTalk([phone, guest]);
      await expectPath([phone, guest], network.path, network.reached);
    }
  });
});

/** One end of the selected candidate pair, from getStats. */
interface PathEnd {
  candidateType: RTCIceCandidateType;
  address: string | null;
  /** How a relayed candidate reaches its TURN server. */
  relayProtocol: 'udp' | 'tcp' | 'tls' | null;
}

type SelectedPair = { local: PathEnd; remote: PathEnd } | null;

type Pair = readonly [Device, Device];

/** Expects that the data channel opens and a message arrives in each direction. */
async function expectTalk([a, b]: Pair): Promise<void> {
  await Promise.all([plain(a, 'opened'), plain(b, 'opened')]);
  await plain(a, 'sendText', 'from the phone');
  await plain(b, 'sendText', 'from the guest');
  expect(await Promise.all([plain(a, 'text'), plain(b, 'text')])).toEqual([
    'from the guest',
    'from the phone',
  ]);
}

/**
 * ICE may first nominate a pair and later replace it by a better one, so only two equal readings in a row count. Data
 * shows the side that does not nominate which pair the other side uses.
 */
async function expectPath(both: Pair, path: Path, reached: string[]): Promise<void> {
  let last: string | undefined;
  const readings = async () => {
    const before = last;
    await Promise.all(both.map((device) => plain(device, 'sendText', 'which way')));
    last = pathOf(await selectedPairs(both));
    return [before, last];
  };
  await expect.poll(readings, { interval: 500 }).toEqual([path, path]);
  const addresses = (await selectedPairs(both)).map((selected) => selected?.remote.address);
  expect(addresses).toEqual(expect.arrayContaining(reached));
}

type Connection = { connectionState: string; iceConnectionState: string; servers: string[] };

/** Expects the result that docs/turn.md specifies for an app without a path. */
async function expectFailure(both: Pair): Promise<void> {
  await Promise.all(both.map((device) => plain(device, 'failed')));
  for (const device of both) {
    const { connectionState, iceConnectionState, servers } = await plain<Connection>(
      device,
      'peerConnection',
    );
    expect(connectionState).toBe('failed');
    // Chromium never changes this state later, so an app must watch the other state.
    expect(['disconnected', 'failed']).toContain(iceConnectionState);
    expect(servers).toEqual([LAB_STUN.STUN_URLS]);
    expect(await plain(device, 'selectedPair')).toBeNull();
  }
}

const selectedPairs = (both: Pair) =>
  Promise.all(both.map((device) => plain<SelectedPair>(device, 'selectedPair')));

/** Returns the path, or both readings if the two devices differ. */
function pathOf(pairs: SelectedPair[]): string {
  const ends = pairs.flatMap((selected) => (selected ? [selected.local, selected.remote] : []));
  if (ends.length < 4) return 'none';
  const types = ends.map(({ candidateType }) => candidateType);
  if (types.every((type) => type === 'host')) return 'host';
  // A peer-reflexive candidate is a server-reflexive one that the peer saw before it received the candidate.
  if (types.every((type) => type === 'srflx' || type === 'prflx')) return 'srflx';
  const isRelayed = (selected: SelectedPair) =>
    selected?.local.candidateType === 'relay' || selected?.remote.candidateType === 'relay';
  if (!pairs.every(isRelayed)) return JSON.stringify(pairs);
  // A device has the relay protocol only of its own relayed address. If each sends to the other's address, neither has it.
  const protocols = ends.flatMap(({ relayProtocol }) => relayProtocol ?? []);
  return protocols.includes('tcp')
    ? `relay over ${[...new Set(protocols)].join().toUpperCase()}`
    : 'relay';
}
