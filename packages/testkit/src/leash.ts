// Processes that end with the test that started them, also where that is killed.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./leash-process.js', import.meta.url));

let holder: ChildProcess | undefined;

/** Sees to it that a child does not outlive this process. */
export function leash(child: ChildProcess): void {
  holder ??= hold();
  const { pid } = child;
  const tell = holder;
  tell.send({ hold: pid });
  child.once('exit', () => tell.connected && tell.send({ release: pid }));
}

function hold(): ChildProcess {
  // In a group of its own: what ends the whole group of the test leaves it.
  const started = fork(SCRIPT, { execArgv: [], stdio: 'ignore', detached: true });
  // It keeps nobody waiting.
  started.unref();
  started.channel?.unref();
  return started;
}
