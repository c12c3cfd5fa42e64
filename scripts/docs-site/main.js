// npm run docs:site: builds the documentation as a static site in packages/server/public/docs, which the server serves at /docs/.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../prepare.js';
import { ASSETS, PAGES, sitePage } from './pages.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The pages with links to each other instead of to files of the repository. */
const SOURCE = `${HERE}source/`;

if (!existsSync(`${HERE}node_modules/vitepress`)) {
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: HERE,
    shell: process.platform === 'win32',
  });
}
rmSync(SOURCE, { recursive: true, force: true });
for (const [path, name] of PAGES) {
  mkdirSync(dirname(SOURCE + name), { recursive: true });
  writeFileSync(SOURCE + name, sitePage(path, readFileSync(ROOT + path, 'utf8')));
}
mkdirSync(`${SOURCE}public`);
cpSync(`${ROOT}demo/src/icon.svg`, `${SOURCE}public/icon.svg`);
for (const path of ASSETS)
  cpSync(ROOT + path, SOURCE + path.replace('docs/', ''), { recursive: true });
run(process.execPath, [`${HERE}node_modules/vitepress/bin/vitepress.js`, 'build', HERE], {
  cwd: HERE,
});
console.log('The server serves the site at /docs/ after its next start.');
