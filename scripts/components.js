// Finds the external programs that some tests need, and installs missing ones if possible.
import { spawnSync } from 'node:child_process';

/** Maps each program to its Debian package. */
const COMPONENTS = {
  curl: 'curl',
  chromium: 'chromium-headless-shell',
  'firefox-esr': 'firefox-esr',
  turnserver: 'coturn',
  nginx: 'nginx',
  caddy: 'caddy',
  haproxy: 'haproxy',
  'redis-server': 'redis-server',
  sqlite3: 'sqlite3',
  openssl: 'openssl',
  'docker-compose': 'docker-compose',
  ip: 'iproute2',
  iptables: 'iptables',
};

/** A permission, not a package. Usually only root has it. */
const NAMESPACES = 'network namespaces';
const canMakeNamespaces = () =>
  spawnSync('unshare', ['--net', '--mount', 'true'], { stdio: 'ignore' }).status === 0;

const present = (program) =>
  spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin" command -v ${program}`]).status === 0;

/** Chromium without windows opens a page with a quarter of the work. Where it cannot be installed, the whole browser serves. */
const PREFERRED = { chromium: 'chromium-headless-shell' };
const preferredPresent = (program) => present(PREFERRED[program] ?? program);

/**
 * Installs missing programs if the user is root and apt is present.
 *
 * @returns {{ missing: string[], command: string }} the programs still missing, and the commands that install them
 */
export function ensureComponents() {
  let missing = Object.keys(COMPONENTS).filter((program) => !preferredPresent(program));
  const packages = missing.map((program) => COMPONENTS[program]).join(' ');
  const command = `apt-get update && apt-get install -y --no-install-recommends ${packages}`;
  if (missing.length > 0 && process.getuid?.() === 0 && present('apt-get')) {
    console.log(`installing for the tests: ${packages}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit'], env });
  }
  missing = missing.filter((program) => !preferredPresent(program) && !present(program));
  const commands = missing.length > 0 ? [`sudo sh -c '${command}'`] : [];
  if (!canMakeNamespaces()) {
    missing.push(NAMESPACES);
    commands.push('sudo npm test');
  }
  return { missing, command: commands.join('; ') };
}
