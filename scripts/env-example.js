// Part of npm run docs: writes the server's part of .env.example from the settings. Keeps the text from the first `## ` line.
import { readFileSync, writeFileSync } from 'node:fs';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { SETTINGS } = await import(`${ROOT}packages/server/dist/settings/config.js`);
const path = `${ROOT}.env.example`;
const WIDTH = 100;

const entries = [...SETTINGS].map(([name, { description, default: value }]) => {
  const text = typeof value === 'boolean' ? Number(value) : value;
  return `${comment(description)}\n#${name}=${text}\n`;
});
const head =
  '# Settings of the server, with their defaults. Copy this file to .env; to change a setting, remove its # and edit the value.\n';
const kept = /^## .*/ms.exec(readFileSync(path, 'utf8'));
writeFileSync(path, [head, ...entries, ...(kept ? [kept[0]] : [])].join('\n'));

function comment(text) {
  const lines = ['#'];
  for (const word of text.split(' ')) {
    if (`${lines.at(-1)} ${word}`.length > WIDTH) lines.push('#');
    lines[lines.length - 1] += ` ${word}`;
  }
  return lines.join('\n');
}
