// The lab with a server and coturn on its public host, and browsers on its other hosts.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { CHROMIUM, launchBrowser } from './browser.js';
import { type Command, spawnCommand } from './command.js';
import { type Coturn, startCoturn } from './coturn.js';
import { type HostName, Lab, PUBLIC_ADDRESS, PUBLIC_NETWORK } from './lab.js';
import { temporaryFolder } from './server.js';

/** The programs that {@link useLab} needs. */
export const LAB_PROGRAMS = ['network namespaces', 'ip', 'iptables', 'chromium', 'turnserver'];

const SECRET = 'the-secret-of-the-lab';

/** Settings of a server whose clients use coturn of the lab, as a STUN server and as a TURN server. */
export const LAB_STUN = { STUN_URLS: `stun:${PUBLIC_ADDRESS}:3478` };
export const LAB_TURN = {
  TURN_SECRET: SECRET,
  TURN_URLS: `turn:${PUBLIC_ADDRESS}:3478,turn:${PUBLIC_ADDRESS}:3478?transport=tcp`,
};

/** Builds the lab for a describe block, with coturn on the public host and a browser on each of these hosts. */
export function useLab(hosts: readonly HostName[]) {
  const folder = temporaryFolder();
  const browsers = new Map<HostName, Browser>();
  const servers: Command[] = [];
  let lab: Lab;
  let coturn: Coturn | undefined;
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
    for (const host of hosts) browsers.set(host, await launchBrowserOn(lab, host, folder));
  });
  afterAll(async () => {
    await Promise.all([...browsers.values()].map((browser) => browser.close()));
    await Promise.all(servers.map((server) => server.kill()));
    await coturn?.stop();
    lab?.remove();
  });
  return {
    lab: () => lab,
    browser: (host: HostName) => browsers.get(host),
    /** Starts a server on the public host; resolves to its address. */
    serve(env: Record<string, string>): Promise<string> {
      const server = spawnCommand(['serve', '--sqlite'], {
        cwd: folder,
        prefix: lab.prefix('public'),
        env: { HOST: PUBLIC_ADDRESS, SQLITE_DB_PATH: ':memory:', ...env },
      });
      servers.push(server);
      return server.listening;
    },
  };
}

function launchBrowserOn(lab: Lab, host: HostName, folder: string): Promise<Browser> {
  const executablePath = join(folder, `chromium-on-${host}`);
  const command = [...lab.prefix(host), CHROMIUM].join(' ');
  writeFileSync(executablePath, `#!/bin/sh\nexec ${command} "$@"\n`);
  chmodSync(executablePath, 0o700);
  return launchBrowser({ executablePath, args: [] });
}
