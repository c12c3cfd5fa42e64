// Updates the build before all tests: tests run the command, the database thread and the pages, and none of them builds.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

export function setup(): void {
  execFileSync(process.execPath, [`${ROOT}scripts/build.js`], { cwd: ROOT });
}
