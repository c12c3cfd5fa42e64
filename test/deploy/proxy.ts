// Runs a server program as a child process with its shipped configuration.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually } from '@couplet/testkit/eventually';
import { ROOT } from '../support.js';

/** Loopback ports of the proxy and of the server behind it. */
export interface Ports {
  http: number;
  https: number;
  server: number;
}

/** A shipped file with the changes that a user makes: addresses and certificate. Each replaced text must exist. */
export function shipped(folder: string, file: string, changes: Record<string, string>): string {
  let text = readFileSync(`${ROOT}deploy/${file}`, 'utf8');
  for (const [from, to] of Object.entries(changes)) {
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  const path = join(folder, file);
  writeFileSync(path, text);
  return path;
}

/** Arguments of nginx for the shipped deploy/nginx.conf, with further changes. */
export function nginxArguments(
  folder: string,
  { http, https, server }: Ports,
  tls: { cert: string; key: string },
  changes: Record<string, string> = {},
): string[] {
  const site = shipped(folder, 'nginx.conf', {
    '127.0.0.1:8080': `127.0.0.1:${server}`,
    'listen 80;': `listen 127.0.0.1:${http};`,
    'listen [::]:80;': '',
    'listen 443 ssl;': `listen 127.0.0.1:${https} ssl;`,
    'listen [::]:443 ssl;': '',
    '/etc/letsencrypt/live/chat.example.com/fullchain.pem': tls.cert,
    '/etc/letsencrypt/live/chat.example.com/privkey.pem': tls.key,
    ...changes,
  });
  // The surroundings of a distribution's own nginx.conf for the files of conf.d.
  const main = join(folder, 'main.conf');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ');
  writeFileSync(
    main,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr warn;
     events {} http { ${paths} include ${site}; }`,
  );
  return ['-c', main, '-p', folder, '-e', 'stderr'];
}

/** Starts a server program and waits until its loopback port answers. Returns a function that stops it. */
export async function startProgram(
  program: string,
  args: readonly string[],
  port: number,
  env: Record<string, string>,
): Promise<{ pid: number | undefined; stop: () => Promise<void> }> {
  const child = spawn(program, args, {
    env: { PATH: `${process.env.PATH}:/usr/sbin`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  try {
    await eventually(async () => {
      if (await answers(port)) return;
      throw new Error(`${program} does not answer: ${said}`);
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid, stop };
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // It does not listen yet.
    return false;
  } finally {
    socket.destroy();
  }
}
