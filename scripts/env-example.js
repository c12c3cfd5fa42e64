// Part of npm run docs: writes the server's part of .env.example from the settings; what follows a line `## ` stays.
import { readFileSync, writeFileSync } from 'node:fs';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { SETTINGS } = await import(`${ROOT}packages/server/dist/platform/config.js`);
const path = `${ROOT}.env.example`;
const WIDTH = 100;

const entries = [...SETTINGS].map(([name, { description, default: value }]) => {
  const text = typeof value === 'boolean' ? Number(value) : value;
  return `${comment(description)}\n#${name}=${text}\n`;
});
const head =
  '# Settings of the server. Copy this file to .env and take the # from a line to change it; each shows its default.\n';
const neighbours = /^## .*/ms.exec(readFileSync(path, 'utf8'));
writeFileSync(path, [head, ...entries, ...(neighbours ? [neighbours[0]] : [])].join('\n'));

function comment(text) {
  const lines = ['#'];
  for (const word of text.split(' ')) {
    if (`${lines.at(-1)} ${word}`.length > WIDTH) lines.push('#');
    lines[lines.length - 1] += ` ${word}`;
  }
  return lines.join('\n');
}
