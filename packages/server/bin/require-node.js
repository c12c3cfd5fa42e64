// Ends the process with one line if Node.js is too old. Plain syntax, because old versions must be able to read it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const manifest = fileURLToPath(new URL('../package.json', import.meta.url));
const oldest = JSON.parse(readFileSync(manifest, 'utf8')).engines.node.replace('>=', '');
const [major, minor] = process.versions.node.split('.').map(Number);
const [oldestMajor, oldestMinor] = oldest.split('.').map(Number);

if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
  process.stderr.write(
    `couplet: needs Node.js ${oldest} or newer; this is ${process.versions.node}\n`,
  );
  process.exit(1);
}
