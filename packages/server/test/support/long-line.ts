// Emulates long and lossy lines for the lab, between every router and the public network.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { HOSTS, ip, type Lab, ROUTERS, run } from '@couplet/testkit/lab';

const FORWARDER = fileURLToPath(new URL('long-line-forwarder.js', import.meta.url));

export interface LineQuality {
  /** For each packet, in each direction. */
  delayMs: number;
  lossPercent: number;
}

/**
 * Puts a line of this quality between every router and the public network; returns a function that removes it. The usual
 * tool, tc-netem(8), is missing from many kernels. Here both ends of a line are VXLAN devices (RFC 7348): a packet that
 * enters one end goes as a UDP packet to the forwarder, which passes it to the other end.
 */
export async function lengthenLines(lab: Lab, quality: LineQuality): Promise<() => Promise<void>> {
  const [underlay, line, outer] = (['underlay', 'line', 'public'] as const).map((name) =>
    lab.namespace(name),
  );
  // Space for a full packet inside another one.
  ip(`netns add ${underlay}
      netns add ${line}
      -n ${underlay} link add ends mtu 9000 type veth peer name ends mtu 9000 netns ${line}
      -n ${underlay} address add 169.254.1.1/30 dev ends
      -n ${underlay} link set ends up
      -n ${line} address add 169.254.1.2/30 dev ends
      -n ${line} link set ends up`);
  finishChecksums(lab);
  const forwarder = await startForwarder(lab, quality);
  for (const [index, router] of ROUTERS.entries()) {
    const inner = lab.namespace(router);
    const [inside, outside] = [2 * index + 2, 2 * index + 3];
    const vxlan = (id: number) =>
      `-n ${underlay} link add far${id} mtu 1500 type vxlan id ${id} remote 169.254.1.2 dstport 4789`;
    ip(`-n ${inner} address flush dev wan
        -n ${inner} link set wan down
        -n ${inner} link set wan name short
        ${vxlan(inside)}
        -n ${underlay} link set far${inside} netns ${inner}
        -n ${inner} link set far${inside} name wan
        ${vxlan(outside)}
        -n ${underlay} link set far${outside} netns ${outer}
        -n ${outer} link set far${outside} master net up`);
    lab.connect(router);
  }
  // The other hosts know the router by the hardware address of its short line.
  const forgetNeighbours = () => {
    for (const name of ['public', ...ROUTERS] as const) {
      ip(`-n ${lab.namespace(name)} neighbour flush dev ${name === 'public' ? 'net' : 'wan'}`);
    }
  };
  forgetNeighbours();
  return async () => {
    const ended = once(forwarder, 'exit');
    forwarder.kill('SIGKILL');
    await ended;
    for (const [index, router] of ROUTERS.entries()) {
      const inner = lab.namespace(router);
      ip(`-n ${inner} link delete wan
          -n ${outer} link delete far${2 * index + 3}
          -n ${inner} link set short name wan`);
      lab.connect(router);
    }
    forgetNeighbours();
    ip(`netns delete ${underlay}
        netns delete ${line}`);
  };
}

/**
 * Completes every packet before it leaves its namespace. Between namespaces, Linux leaves checksums open and packets
 * unsplit for a network card to finish. The forwarder would pass them on unfinished.
 */
function finishChecksums(lab: Lab): void {
  for (const host of HOSTS) ip(`-n ${lab.namespace(host)} link set eth0 gso_max_segs 1`);
  ip(`-n ${lab.namespace('public')} link set net gso_max_segs 1`);
  for (const name of ['public', ...ROUTERS] as const) {
    for (const protocol of ['udp', 'tcp']) {
      const rule = ['POSTROUTING', '-p', protocol, '-j', 'CHECKSUM', '--checksum-fill'];
      run(
        'ip',
        'netns',
        'exec',
        lab.namespace(name),
        'iptables',
        '-w',
        '-t',
        'mangle',
        '-A',
        ...rule,
      );
    }
  }
}

async function startForwarder(lab: Lab, quality: LineQuality): Promise<ChildProcess> {
  const { delayMs, lossPercent } = quality;
  const [program = '', ...prefix] = lab.prefix('line');
  const settings = [String(delayMs), String(lossPercent)];
  const child = spawn(program, [...prefix, process.execPath, FORWARDER, ...settings], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('the line could not be built'))),
  ]);
  return child;
}
