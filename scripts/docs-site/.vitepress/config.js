// Configures the site: navigation, search, and where it is built.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';
import { anchorOf } from '../pages.js';

const outDir = fileURLToPath(new URL('../../../packages/server/public/docs', import.meta.url));
const { version } = JSON.parse(
  readFileSync(new URL('../../../packages/server/package.json', import.meta.url), 'utf8'),
);
const page = (text, name) => ({ text, link: `/${name}` });

export default defineConfig({
  title: 'Couplet',
  description:
    'A self-hosted server that pairs two devices by a six-digit code and connects them peer to peer',
  base: '/docs/',
  srcDir: 'source',
  outDir,
  lang: 'en',
  head: [['link', { rel: 'icon', href: '/docs/icon.svg' }]],
  // Two links of the documents lead to a server of the reader.
  ignoreDeadLinks: 'localhostLinks',
  metaChunk: true,
  transformHtml: (html) => withScriptFiles(html),
  markdown: {
    anchor: { slugify: anchorOf },
    languageAlias: { haproxy: 'nginx' },
    config: breakLongNames,
  },
  vite: { build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    logo: '/icon.svg',
    search: {
      provider: 'local',
      options: { miniSearch: { searchOptions: { combineWith: 'AND', fuzzy: 0.1 } } },
    },
    outline: { level: [2, 3] },
    socialLinks: [{ icon: 'github', link: 'https://github.com/couplet/couplet' }],
    nav: [
      page('Documentation', 'index.html'),
      { text: 'Demo', link: '/../demo/', target: '_self' },
    ],
    sidebar: [
      {
        text: 'Start',
        items: [
          page('Overview', 'index.html'),
          page('Client SDK', 'client.html'),
          page('Demo', 'demo.html'),
        ],
      },
      {
        text: 'Run a server',
        items: [
          page('Deploy', 'deploy.html'),
          page('Settings and operation', 'operations.html'),
          page('TURN', 'turn.html'),
          page('Push notifications', 'push.html'),
          page('Several nodes', 'cluster.html'),
          page('Accounts and JWT', 'auth.html'),
          page('In your own process', 'server.html'),
          page('Performance', 'performance.html'),
        ],
      },
      {
        text: 'Write a client',
        items: [
          page('Clients in other languages', 'clients.html'),
          page('Protocol', 'protocol.html'),
          page('Key exchange', 'key-exchange.html'),
          page('API of the client SDK', 'client-api.html'),
        ],
      },
      {
        text: 'The project',
        items: [
          page('Architecture', 'architecture.html'),
          page('Security', 'security.html'),
          page('Contributing', 'contributing.html'),
          page('Changes', 'changelog.html'),
        ],
      },
    ],
    footer: { message: `Version ${version} · MIT license` },
  },
});

/** Lets names such as MAX_TURN_CREDENTIALS_PER_HOUR break into lines. Otherwise tables of settings would be wider than the page. */
function breakLongNames({ renderer }) {
  const render = renderer.rules.code_inline;
  renderer.rules.code_inline = (...args) =>
    render(...args).replace(/(?<!<)[_/,:.=?(](?=[a-z])/gi, '$&<wbr>');
}

/** Moves inline scripts into files, because the server's Content-Security-Policy allows no inline script. */
function withScriptFiles(html) {
  return html.replace(/<script id="[\w-]+">([\s\S]+?)<\/script>/g, (_, script) => {
    const name = `assets/inline.${createHash('sha256').update(script).digest('hex').slice(0, 8)}.js`;
    mkdirSync(`${outDir}/assets`, { recursive: true });
    writeFileSync(`${outDir}/${name}`, script);
    return `<script src="/docs/${name}"></script>`;
  });
}
