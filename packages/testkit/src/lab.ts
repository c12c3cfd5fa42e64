// Builds a small internet for tests in network namespaces: a public host, and LANs with hosts behind NAT routers.
import { execFileSync } from 'node:child_process';

/** Where the public host is. Nothing leaves the lab, so any addresses may be used. */
export const PUBLIC_ADDRESS = '198.18.0.1';
/** The public network: the public host and the outer side of every router. */
export const PUBLIC_NETWORK = '198.18.0.0-198.18.0.255';

/** The hosts: two at home, one elsewhere, and the public host. */
export type HostName = 'phone' | 'laptop' | 'tablet' | 'public';
export type LanHost = Exclude<HostName, 'public'>;
export type RouterName = 'home' | 'away';

/** The packet rules of every router for its LAN. */
export interface RouterRules {
  /**
   * How the router chooses the outer port of a connection from its LAN. `kept`: the host's own port, for every
   * destination (endpoint-independent mapping, RFC 4787 §4.1). `random`: a different port for each destination, which is
   * called symmetric.
   */
  ports: 'kept' | 'random';
  /** Whether UDP is allowed. */
  udp: 'open' | 'blocked';
}

/** Router → its place in the public network, and its hosts with their place in its LAN. */
const SITES = {
  home: { outside: '198.18.0.11', lan: '192.168.1', hosts: { phone: 2, tablet: 3 } },
  away: { outside: '198.18.0.12', lan: '192.168.2', hosts: { laptop: 2 } },
} as const;
export const ROUTERS = Object.keys(SITES) as RouterName[];

export const HOSTS = ['phone', 'tablet', 'laptop'] as const satisfies readonly HostName[];

const PREFIX = 'couplet-lab-';
const ENV = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

/** Runs a command on this machine. */
export function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { env: ENV, encoding: 'utf8', stdio: 'pipe' });
}

/** Runs `ip` with each line of a script. */
export function ip(script: string): void {
  for (const line of script.trim().split('\n')) run('ip', ...line.trim().split(/\s+/));
}

export class Lab {
  readonly #name = `${PREFIX}${process.pid}-`;
  /** Hosts that were moved to another LAN. */
  readonly #moved = new Map<LanHost, RouterName>();
  readonly #renumbered = new Set<RouterName>();

  /** Builds it, without NAT rules. The caller removes it. Remains of a killed run are removed now. */
  constructor() {
    removeNamespaces((owner) => owner === process.pid || !isRunning(owner));
    try {
      this.#build();
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** The namespace of a host or router. */
  namespace(name: HostName | RouterName | 'underlay' | 'line'): string {
    return this.#name + name;
  }

  /** The command in front of a program that runs on a host. */
  prefix(name: HostName | RouterName | 'line'): string[] {
    return ['ip', 'netns', 'exec', this.namespace(name)];
  }

  /** The public address of a router. */
  outside(router: RouterName): string {
    const { outside } = SITES[router];
    return this.#renumbered.has(router) ? `${outside}0` : outside;
  }

  /** Gives a router's device `wan` its address, and sends all traffic outside the LAN there. */
  connect(router: RouterName): void {
    const inner = this.namespace(router);
    // The default route leads to a host that forwards nothing. Private addresses of others get no answer and no
    // error, as outside the lab.
    ip(`-n ${inner} address add ${this.outside(router)}/24 dev wan
        -n ${inner} link set wan up
        -n ${inner} route add default via ${PUBLIC_ADDRESS}`);
  }

  /** Replaces the rules of both routers. */
  route({ ports, udp }: RouterRules): void {
    const masquerade = ports === 'random' ? ['MASQUERADE', '--random-fully'] : ['MASQUERADE'];
    for (const router of ROUTERS) {
      const iptables = (...args: string[]) =>
        run('ip', 'netns', 'exec', this.namespace(router), 'iptables', '-w', ...args);
      iptables('-t', 'nat', '-F');
      iptables('-F');
      iptables('-t', 'nat', '-A', 'POSTROUTING', '-o', 'wan', '-j', ...masquerade);
      // Packets that no inside host has asked for are dropped, as on a home router. If they were answered, Linux would
      // treat the sender's port as a connection to the router, and give the inside host another port for that peer.
      iptables('-A', 'INPUT', '-i', 'wan', '-j', 'DROP');
      if (udp === 'blocked') iptables('-A', 'FORWARD', '-p', 'udp', '-j', 'DROP');
    }
  }

  /** Gives a router another public address, as providers do at night; no host in its LAN is notified. */
  renumber(router: RouterName): void {
    ip(`-n ${this.namespace(router)} address flush dev wan`);
    if (!this.#renumbered.delete(router)) this.#renumbered.add(router);
    this.connect(router);
  }

  /** Moves a host from its LAN to that of another router, where it gets another address. */
  move(host: LanHost, to: RouterName): void {
    const { lan, hosts } = SITES[to];
    const number = (hosts as Partial<Record<LanHost, number>>)[host] ?? 9;
    const [from, into] = [this.#site(host), this.namespace(to)];
    ip(`-n ${this.namespace(host)} address flush dev eth0
        -n ${this.namespace(from)} link set ${host} netns ${into}
        -n ${into} link set ${host} master lan up
        -n ${this.namespace(host)} address add ${lan}.${number}/24 dev eth0
        -n ${this.namespace(host)} route add default via ${lan}.1`);
    this.#moved.set(host, to);
  }

  /** Ends the processes in it, and removes it. */
  remove(): void {
    removeNamespaces((owner) => owner === process.pid);
  }

  #site(host: LanHost): RouterName {
    const home = ROUTERS.find((router) => host in SITES[router].hosts);
    return this.#moved.get(host) ?? home ?? 'home';
  }

  #build(): void {
    const outer = this.namespace('public');
    ip(`netns add ${outer}
        -n ${outer} link set lo up
        -n ${outer} link add net type bridge
        -n ${outer} link set net up
        -n ${outer} address add ${PUBLIC_ADDRESS}/24 dev net`);
    for (const router of ROUTERS) {
      const { lan, hosts } = SITES[router];
      const inner = this.namespace(router);
      ip(`netns add ${inner}
          -n ${inner} link set lo up
          -n ${inner} link add wan type veth peer name ${router} netns ${outer}
          -n ${outer} link set ${router} master net up
          -n ${inner} link add lan type bridge
          -n ${inner} address add ${lan}.1/24 dev lan
          -n ${inner} link set lan up`);
      this.connect(router);
      run('ip', 'netns', 'exec', inner, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
      for (const [name, number] of Object.entries(hosts)) {
        const host = this.namespace(name as HostName);
        ip(`netns add ${host}
            -n ${host} link set lo up
            -n ${host} link add eth0 type veth peer name ${name} netns ${inner}
            -n ${inner} link set ${name} master lan up
            -n ${host} address add ${lan}.${number}/24 dev eth0
            -n ${host} link set eth0 up
            -n ${host} route add default via ${lan}.1`);
      }
    }
  }
}

/** Removes the labs of these owners: the processes in them, then the namespaces with their links. */
function removeNamespaces(ofOwner: (pid: number) => boolean): void {
  const listed = run('ip', 'netns', 'list').split('\n');
  for (const name of listed.map((line) => line.split(' ')[0] ?? '')) {
    const owner = /^couplet-lab-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || !ofOwner(Number(owner))) continue;
    try {
      for (const pid of run('ip', 'netns', 'pids', name).split('\n').filter(Boolean)) {
        try {
          process.kill(Number(pid), 'SIGKILL');
        } catch {
          // It has already ended.
        }
      }
      run('ip', 'netns', 'delete', name);
    } catch (error) {
      // Another test process may have removed it at the same time.
      if (run('ip', 'netns', 'list').split(/\s+/).includes(name)) throw error;
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
