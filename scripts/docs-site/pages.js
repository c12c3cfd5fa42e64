// Lists the pages of the site, and converts a document of the repository into one of them.
import { readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sequenceSvg } from './sequence.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const REPOSITORY = 'https://github.com/couplet/couplet/blob/main/';

/** Documents outside of docs/, with their names in the site. */
const OTHERS = {
  'ARCHITECTURE.md': 'architecture.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security.md',
  'demo/README.md': 'demo.md',
  'packages/client/README.md': 'client.md',
  'packages/server/README.md': 'server.md',
};

/** Every page: path in the repository and in the site. */
export const PAGES = new Map([
  ...readdirSync(`${ROOT}docs`)
    .filter((name) => name.endsWith('.md'))
    .map((name) => [`docs/${name}`, name]),
  ...Object.entries(OTHERS),
  ...readdirSync(`${ROOT}examples`).map((name) => [
    `examples/${name}/README.md`,
    `examples/${name}.md`,
  ]),
]);

/** Folders of pictures. */
export const ASSETS = ['docs/images', 'docs/performance'];

/** Converts a document: links for the site, and sequence diagrams as SVG. */
export function sitePage(path, text) {
  return text
    .split(/^(```[\s\S]*?^```)$/m)
    .map((part) => {
      const diagram = part.match(/^```mermaid\n([\s\S]*)```$/)?.[1];
      if (diagram !== undefined) return `<p class="wide">${sequenceSvg(diagram)}</p>`;
      return part.startsWith('```') ? part : withSiteLinks(path, part);
    })
    .join('');
}

function withSiteLinks(path, text) {
  const links = /(\]\(|(?:href|src|srcset)=")([^)\s"]+)/g;
  return text.replace(links, (_, before, link) => before + siteLink(path, link));
}

/** The address of a link in the site. A file that is not part of it is linked in the repository. */
export function siteLink(path, link) {
  const [target, anchor] = link.replace(REPOSITORY, '/').split('#');
  if (/^[a-z]+:/.test(target) || target === '') return link;
  const file = target.startsWith('/') ? target.slice(1) : posix.join(posix.dirname(path), target);
  const hash = anchor === undefined ? '' : `#${anchor}`;
  const page = PAGES.get(file);
  if (page !== undefined) return `/${page}${hash}`;
  if (ASSETS.some((folder) => file.startsWith(`${folder}/`)) && /\.(svg|png)$/.test(file)) {
    return `/${file.replace('docs/', '')}`;
  }
  return `${REPOSITORY}${file}${hash}`;
}

/** The anchor of a heading, as GitHub makes it. */
export const anchorOf = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
