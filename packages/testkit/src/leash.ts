// Ends child processes when the test that started them ends, even if it is killed.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./leash-process.js', import.meta.url));

let holder: ChildProcess | undefined;

/** Ensures that a child does not outlive this process. */
export function leash(child: ChildProcess): void {
  holder ??= hold();
  const { pid } = child;
  const tell = holder;
  tell.send({ hold: pid });
  child.once('exit', () => tell.connected && tell.send({ release: pid }));
}

function hold(): ChildProcess {
  // In its own process group, so that a signal to the test's group does not end it.
  const started = fork(SCRIPT, { execArgv: [], stdio: 'ignore', detached: true });
  // It does not keep this process alive.
  started.unref();
  started.channel?.unref();
  return started;
}
