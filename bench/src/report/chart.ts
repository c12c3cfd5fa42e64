// Draws rows of one unit as a chart: horizontal bars in a group per row, with whiskers for the spread. Pure.
import { medianOf, type Row, type ServerName } from '../figures/row.js';
import { shown } from './numbers.js';
import { escaped, svg } from './svg.js';

const WIDTH = 760;
const LEFT = 20;
const NAMES = 110;
const RIGHT = 90;
const BAR = 16;
const GAP = 3;
const HEAD = 34;

export const SERVER_TITLES: Record<ServerName, string> = {
  couplet: 'Couplet',
  peerjs: 'PeerJS',
  corked: 'ws, corked',
  bare: 'ws',
  fastify: 'Fastify, no-op',
};

export function barChart(title: string, rows: readonly Row[]): string {
  const figures = rows.flatMap(({ figures }) => Object.values(figures));
  const most = Math.max(...figures.flatMap(({ rounds }) => rounds), Number.MIN_VALUE);
  const room = WIDTH - LEFT - NAMES - RIGHT;
  const x = (value: number) => LEFT + NAMES + (Math.max(0, value) / most) * room;
  const parts: string[] = [];
  let y = HEAD;
  for (const row of rows) {
    parts.push(`<text x="${LEFT}" y="${y + 12}">${escaped(row.label)}</text>`);
    y += BAR + GAP;
    for (const [name, figure] of Object.entries(row.figures)) {
      const value = medianOf(figure);
      const [low, high] = [Math.min(...figure.rounds), Math.max(...figure.rounds)];
      const middle = y + BAR / 2;
      parts.push(
        `<text class="faint" x="${LEFT + NAMES - 8}" y="${y + 12}" text-anchor="end">${SERVER_TITLES[name as ServerName]}</text>`,
        `<rect class="${name}" x="${LEFT + NAMES}" y="${y}" width="${(x(value) - LEFT - NAMES).toFixed(1)}" height="${BAR}" rx="2"/>`,
        `<line class="line" x1="${x(low).toFixed(1)}" x2="${x(high).toFixed(1)}" y1="${middle}" y2="${middle}" stroke-width="2"/>`,
        `<text x="${(x(Math.max(value, high)) + 6).toFixed(1)}" y="${y + 12}">${shown(value)}</text>`,
      );
      y += BAR + GAP;
    }
    y += 12;
  }
  const unit = rows[0]?.unit ?? '';
  const heading = `<text class="title" x="${LEFT}" y="18">${escaped(`${title}, ${unit}`)}</text>`;
  return svg(WIDTH, y, `${title}, ${unit}`, [heading, ...parts].join('\n'));
}
