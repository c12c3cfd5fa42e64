// Runs deploy/Caddyfile.cluster in front of the nodes, on the server's core.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, startProgram } from './children.js';
import { freePort } from './server.js';
import { ROOT } from './specs.js';

const START_TIMEOUT_MS = 10_000;

/** The Caddy version, such as `v2.6.2`; null if there is no Caddy. */
export function caddyVersion(): string | null {
  try {
    const text = execFileSync('caddy', ['version'], { encoding: 'utf8' });
    return text.split(' ', 1)[0]?.trim() ?? null;
  } catch {
    return null;
  }
}

/** Starts it, and waits until it finds a ready node. */
export async function startCaddy(
  workFolder: string,
  ports: readonly number[],
): Promise<{ port: number; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(workFolder, 'caddy-'));
  const port = await freePort();
  const main = join(folder, 'Caddyfile');
  const shipped = `${ROOT}deploy/Caddyfile.cluster`;
  writeFileSync(main, `{\n admin off\n default_bind 127.0.0.1\n}\nimport ${shipped}\n`);
  const output = openSync(join(folder, 'log'), 'a');
  const child = startProgram('caddy', ['run', '--config', main, '--adapter', 'caddyfile'], {
    core: 'server',
    env: {
      HOME: folder,
      SITE: `:${port}`,
      NODES: ports.map((node) => `127.0.0.1:${node}`).join(' '),
    },
    output,
  });
  closeSync(output);
  const deadline = performance.now() + START_TIMEOUT_MS;
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await answers())) {
    if (performance.now() > deadline) {
      await end(child);
      throw new Error('Caddy did not start');
    }
    await sleep(50);
  }
  return { port, stop: () => end(child) };
}
