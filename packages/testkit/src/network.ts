// Connects two network namespaces, `server` and `phone`, by a virtual cable, for tests with packet loss.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const ip = (...args: string[]) => void execFileSync('ip', args, { stdio: 'pipe' });

/** Whether this process may create network namespaces. */
export function networksAllowed(): boolean {
  const name = `cpl-probe-${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return false;
  return spawnSync('ip', ['netns', 'delete', name]).status === 0;
}

export interface Network {
  /** Address of the server's end of the cable. */
  serverAddress: string;
  /** Addresses of the phone: its current one, and the one in another network. */
  phoneAddresses: readonly [string, string];
  /** The command in front of a program that runs at the server's end. */
  atServer: readonly string[];
  /**
   * Opens a path from the test into the network: a client that connects to the returned socket path reaches the server
   * from `localAddress`. Only this last part of the path can be cut.
   */
  way(from: 'server' | 'phone', localAddress: string, port: number): Promise<string>;
  /** From now on, every packet from and to this address of the phone is lost, and neither end is notified. */
  cut(phoneAddress: string): void;
}

let made = 0;

/** Creates the network, which is removed when the test ends. @param folder - for the sockets of its paths */
export function makeNetwork(folder: string): Network {
  const id = `${process.pid}-${++made}`;
  const ends = { server: `cpl-s-${id}`, phone: `cpl-p-${id}` };
  for (const end of Object.values(ends)) {
    ip('netns', 'add', end);
    onTestFinished(() => ip('netns', 'delete', end));
    ip('-n', end, 'link', 'set', 'lo', 'up');
  }
  const cable = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', ends.phone];
  ip('-n', ends.server, 'link', 'add', 'eth0', ...cable);
  const serverAddress = '10.77.0.1';
  const phoneAddresses = ['10.77.0.2', '10.77.0.3'] as const;
  ip('-n', ends.server, 'address', 'add', `${serverAddress}/24`, 'dev', 'eth0');
  for (const address of phoneAddresses) {
    ip('-n', ends.phone, 'address', 'add', `${address}/24`, 'dev', 'eth0');
  }
  for (const end of Object.values(ends)) ip('-n', end, 'link', 'set', 'eth0', 'up');
  const at = (end: string) => ['ip', 'netns', 'exec', end] as const;
  let ways = 0;
  return {
    serverAddress,
    phoneAddresses,
    atServer: at(ends.server),
    async way(from, localAddress, port) {
      const path = join(folder, `${id}-${++ways}.sock`);
      const target = { host: serverAddress, port, localAddress };
      const [program, ...args] = at(ends[from]);
      const child = spawn(
        program,
        [...args, process.execPath, '-e', WAY, path, JSON.stringify(target)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      onTestFinished(() => void child.kill('SIGKILL'));
      await once(child.stdout, 'data');
      return path;
    },
    cut(phoneAddress) {
      for (const rule of [
        ['OUTPUT', '-s'],
        ['INPUT', '-d'],
      ] as const) {
        const [chain, side] = rule;
        const args = ['iptables', '-A', chain, side, phoneAddress, '-j', 'DROP'];
        ip('netns', 'exec', ends.phone, ...args);
      }
    },
  };
}

/** Forwards bytes between a Unix socket, visible in every namespace, and TCP in the namespace that it runs in. */
const WAY = `
const net = require('node:net');
const [path, target] = process.argv.slice(1);
net.createServer((near) => {
  const far = net.connect(JSON.parse(target));
  near.pipe(far).pipe(near);
  for (const [one, other] of [[near, far], [far, near]]) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}).listen(path, () => console.log('open'));
`;
