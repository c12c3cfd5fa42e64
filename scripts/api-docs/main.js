// Writes the API of @couplet/client, from its TSDoc, as one page of Markdown: npm run docs:api. Fails on what has no comment.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { page } from './page.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLIENT = `${ROOT}packages/client/`;
const [file = `${ROOT}docs/client-api.md`] = process.argv.slice(2);

const app = await Application.bootstrap({
  entryPoints: [`${CLIENT}src/index.ts`],
  tsconfig: `${CLIENT}tsconfig.json`,
  readme: 'none',
  logLevel: 'Error',
  excludePrivate: true,
  excludeProtected: true,
  excludeInternal: true,
  // In the order of the source, which is the order of reading.
  sort: ['source-order'],
});
const project = await app.convert();
if (!project) process.exit(1);
const { text, undocumented } = page(project, {
  title: 'The API of @couplet/client',
  intro: `Generated from the comments in \`packages/client/src\` by \`npm run docs\`. How to begin with it, and the states of a
session, are in its [README](../packages/client/README.md).`,
});
for (const name of undocumented) process.stderr.write(`no comment: ${name}\n`);
process.exitCode = undocumented.length > 0 ? 1 : 0;
writeFileSync(file, text);
