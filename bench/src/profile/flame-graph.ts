// Draws a call tree as a flame graph: width is time, callees are above callers, colors show the owner of the code. Pure.
import { escaped, svg } from '../report/svg.js';
import type { Call } from './cpu-profile.js';

const WIDTH = 1200;
const ROW = 17;
const HEAD = 44;
/** Narrower ones are left out, in pixels. */
const NARROWEST = 0.6;
const LETTER = 6.2;

interface Box {
  call: Call;
  x: number;
  width: number;
  depth: number;
}

export function flameGraph(title: string, root: Call): string {
  const boxes: Box[] = [];
  lay(root, 0, WIDTH, 0, boxes);
  const deepest = Math.max(...boxes.map(({ depth }) => depth));
  const height = HEAD + (deepest + 1) * ROW + 8;
  const drawn = boxes.map((box) => draw(box, height - 8 - (box.depth + 1) * ROW, root.total));
  const legend = ['ours', 'library', 'node', 'native'].map(
    (owner, n) =>
      `<rect class="${owner}" x="${10 + n * 90}" y="26" width="12" height="12"/><text class="faint" x="${26 + n * 90}" y="36">${owner}</text>`,
  );
  const heading = `<text class="title" x="10" y="16">${escaped(title)}</text>`;
  return svg(WIDTH, height, title, [heading, ...legend, ...drawn].join('\n'));
}

function lay(call: Call, x: number, width: number, depth: number, boxes: Box[]): void {
  boxes.push({ call, x, width, depth });
  let at = x;
  for (const callee of [...call.callees.values()].sort((a, b) => b.total - a.total)) {
    const share = (callee.total / call.total) * width;
    if (share >= NARROWEST) lay(callee, at, share, depth + 1, boxes);
    at += share;
  }
}

function draw({ call: { name, place, total }, x, width }: Box, y: number, all: number): string {
  const letters = Math.floor((width - 4) / LETTER);
  const text = letters < 3 ? '' : name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
  const about = `${name} ${place} ${((total / all) * 100).toFixed(1)} %`;
  return (
    `<g><title>${escaped(about)}</title>` +
    `<rect class="${ownerOf(place)}" x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}"/>` +
    (text === ''
      ? ''
      : `<text class="flame" x="${(x + 3).toFixed(1)}" y="${y + 12}">${escaped(text)}</text>`) +
    '</g>'
  );
}

function ownerOf(place: string): 'ours' | 'library' | 'node' | 'native' {
  if (place === '') return 'native';
  if (place.startsWith('node:')) return 'node';
  return place.startsWith('node_modules/') ? 'library' : 'ours';
}
