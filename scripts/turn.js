// npm run turn: starts coturn locally with turn-server/turnserver.conf and the settings of `.env`, as in production.
// Passes its arguments to turn-server/start.sh: `static` for the second coturn, `--allow-loopback` for local peers.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { ConfigError, parseConfig } = await import(`${ROOT}packages/server/dist/index.js`);

const { layered, parseDotEnv } = await import(
  `${ROOT}packages/server/dist/settings/environment.js`
);

const args = process.argv.slice(2);
const env = settings();
check();

// start.sh writes the secrets to a file. Its folder is deleted when coturn exits.
const folder = mkdtempSync(join(tmpdir(), 'couplet-turn-'));
const coturn = spawn(`${ROOT}turn-server/start.sh`, args, {
  stdio: 'inherit',
  env: { ...env, PATH: `${env.PATH}:/usr/sbin:/sbin`, TMPDIR: folder },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => coturn.kill('SIGTERM'));
coturn.once('exit', (code, signal) => {
  rmSync(folder, { recursive: true, force: true });
  if (code === 127) console.error('coturn is not installed: apt-get install coturn');
  // SIGTERM is the signal that this script sends, so the exit is a success. Any other signal is a failure.
  process.exitCode = code ?? (signal === 'SIGTERM' ? 0 : 1);
});

function settings() {
  try {
    const file = existsSync('.env') ? parseDotEnv(readFileSync('.env')) : {};
    return layered(process.env, file, { TURN_VERBOSE: '1' });
  } catch (error) {
    return refuse(error);
  }
}

function refuse(error) {
  if (!(error instanceof ConfigError)) throw error;
  for (const fault of error.faults) console.error(fault);
  process.exit(1);
}

function check() {
  try {
    const config = parseConfig(env);
    if (args.includes('static') || config.turnSecrets.length > 0) return;
    console.error(`TURN is not configured. To use it on this machine only, add to .env:

TURN_SECRET=${randomBytes(24).toString('hex')}
TURN_URLS=turn:127.0.0.1:3478,turn:127.0.0.1:3478?transport=tcp
STUN_URLS=stun:127.0.0.1:3478
TURN_LISTEN_IPS=127.0.0.1

and run: npm run turn -- --allow-loopback`);
  } catch (error) {
    refuse(error);
  }
  process.exit(1);
}
