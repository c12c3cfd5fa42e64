// The pages of the documentation site: their links, their diagrams, and the navigation. npm run docs:site builds it.
import { expect, test } from 'vitest';
import { PAGES, siteLink, sitePage } from '../scripts/docs-site/pages.js';
import { sequenceSvg } from '../scripts/docs-site/sequence.js';
import { blocks, read } from './support.js';

const config = read('scripts/docs-site/.vitepress/config.js');

test('the navigation lists every page but the examples', () => {
  const listed = Array.from(
    config.matchAll(/page\('[^']+', '([^']+)\.html'\)/g),
    ([, name]) => name,
  );
  const pages = [...PAGES.values()].filter((name) => !name.startsWith('examples/'));
  expect([...new Set(listed)].sort()).toEqual(pages.map((name) => name.replace('.md', '')).sort());
});

test.each([
  ['docs/turn.md', 'operations.md#settings', '/operations.md#settings'],
  ['docs/turn.md', '../SECURITY.md', '/security.md'],
  ['ARCHITECTURE.md', 'docs/images/architecture.svg', '/images/architecture.svg'],
  ['docs/operations.md', '../deploy/nginx.conf', `${main()}deploy/nginx.conf`],
  ['packages/client/README.md', `${main()}docs/protocol.md#rest`, '/protocol.md#rest'],
  ['docs/turn.md', '#ports', '#ports'],
  ['docs/turn.md', 'https://example.org/a.md', 'https://example.org/a.md'],
])('%s: %s leads to %s', (path, link, target) => {
  expect(siteLink(path, link)).toBe(target);
});

function main(): string {
  return 'https://github.com/couplet/couplet/blob/main/';
}

test.each([...PAGES.keys()])('%s: Vue finds no tag and no expression in its text', (path) => {
  const text = sitePage(path, read(path))
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/<svg class="sequence".*<\/svg>/g, '')
    .replace(/`[^`]*`/g, '')
    .replace(/<!--.*?-->/gs, '');
  expect(text).not.toMatch(/\{\{/);
  const tags = Array.from(text.matchAll(/<\/?([a-z][\w-]*)/gi), ([, name]) => name);
  expect(tags.filter((name) => !/^(picture|source|img|p|a|br|https?)$/.test(String(name)))).toEqual(
    [],
  );
});

test('a sequence diagram has every participant, message and note', () => {
  const [diagram = ''] = blocks(read('docs/protocol.md'), 'mermaid');
  const svg = sequenceSvg(diagram);
  expect(svg.match(/class="name"/g)).toHaveLength(3);
  expect(svg.match(/class="tip"/g)).toHaveLength(diagram.match(/->>/g)?.length ?? 0);
  expect(svg.match(/class="note"/g)).toHaveLength(2);
  expect(svg).toContain('>A shows the code, and the user of B enters it<');
});

test('a statement that the drawing does not support is reported', () => {
  expect(() => sequenceSvg('sequenceDiagram\n  loop forever')).toThrow('loop forever');
});
