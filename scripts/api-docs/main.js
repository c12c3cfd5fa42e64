// Writes the API of @couplet/client, from its TSDoc, as one page of Markdown: node main.js FILE. Part of npm run docs.
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';

const CLIENT = fileURLToPath(new URL('../../packages/client/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'couplet-api-'));
const app = await Application.bootstrapWithPlugins({
  plugin: ['typedoc-plugin-markdown'],
  entryPoints: [`${CLIENT}src/index.ts`],
  tsconfig: `${CLIENT}tsconfig.json`,
  readme: 'none',
  router: 'module',
  entryFileName: 'client-api',
  excludePrivate: true,
  excludeProtected: true,
  excludeInternal: true,
  disableSources: true,
  hidePageHeader: true,
  hideBreadcrumbs: true,
  out: folder,
});
const project = await app.convert();
if (!project) process.exit(1);
app.validate(project);
await app.generateOutputs(project);

import { readdirSync } from 'node:fs';

console.log(readdirSync(folder));
copyFileSync(join(folder, 'client-api.md'), process.argv[2]);
rmSync(folder, { recursive: true });
