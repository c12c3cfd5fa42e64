// The folder for the databases and logs of a run: on the disk of the checkout, and deleted afterwards.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { isMemory } from './conductor/machine.js';
import { ROOT } from './conductor/specs.js';

export function makeWorkFolder(): string {
  mkdirSync(`${ROOT}data`, { recursive: true });
  const folder = mkdtempSync(`${ROOT}data/bench-`);
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  if (isMemory(folder)) {
    process.stdout.write(
      'note: the checkout is in memory, so no write is durable; pairing looks faster than it is\n',
    );
  }
  return folder;
}
