// Writes docs/client-api.md from the TSDoc of @couplet/client: npm run docs:api. Fails if an export has no comment.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { page } from './page.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLIENT = `${ROOT}packages/client/`;
const [file = `${ROOT}docs/client-api.md`] = process.argv.slice(2);

const { exports } = JSON.parse(readFileSync(`${CLIENT}package.json`, 'utf8'));

const app = await Application.bootstrap({
  entryPoints: Object.values(exports).map(
    (entry) => CLIENT + entry.default.replace('./dist/', 'src/').replace('.js', '.ts'),
  ),
  tsconfig: `${CLIENT}tsconfig.json`,
  readme: 'none',
  logLevel: 'Error',
  excludePrivate: true,
  excludeProtected: true,
  excludeInternal: true,
  // The order of the source, not of the alphabet.
  sort: ['source-order'],
});
const project = await app.convert();
if (!project) process.exit(1);
const { text, undocumented } = page(project, {
  title: 'API reference of @couplet/client',
  intro: `Generated from the comments in \`packages/client/src\` by \`npm run docs\`. For an introduction and the states of a
session, see the [README](../packages/client/README.md).`,
});
for (const name of undocumented) process.stderr.write(`no comment: ${name}\n`);
process.exitCode = undocumented.length > 0 ? 1 : 0;
writeFileSync(file, text);
