// npm run dev: builds on every change, and restarts the server on every build.
import { spawn } from 'node:child_process';
import { prepare, ROOT } from './prepare.js';

prepare();
const children = [
  [`${ROOT}node_modules/typescript/bin/tsc`, '-b', '--watch', '--preserveWatchOutput'],
  ['--watch', `${ROOT}packages/server/dist/main.js`, 'serve'],
].map((args) => spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }));

const stop = (code) => {
  for (const child of children) child.kill('SIGTERM');
  process.exitCode = code;
};
for (const child of children) child.once('exit', (code) => stop(code ?? 0));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop(0));
