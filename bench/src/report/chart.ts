// Draws rows of one unit as a chart: horizontal bars in a group per row, with whiskers for the spread. Pure.
import { medianOf, type Row, type ServerName } from '../figures/row.js';
import { shown } from './numbers.js';

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

/** Colors that follow the reader's light or dark theme. */
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .faint { fill: #59636e; }
  .title { font-weight: 600; }
  .line { stroke: #1f2328; opacity: 0.55; }
  .couplet { fill: #0969da; } .peerjs { fill: #bc4c00; } .corked { fill: #1a7f37; }
  .bare { fill: #8c959f; } .fastify { fill: #8250df; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .faint { fill: #9198a1; } .line { stroke: #e6edf3; }
    .couplet { fill: #4493f8; } .peerjs { fill: #db6d28; } .corked { fill: #3fb950; }
    .bare { fill: #6e7681; } .fastify { fill: #a371f7; }
  }`;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

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
  const heading = escaped(`${title}, ${rows[0]?.unit ?? ''}`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">
<title>${heading}</title>
<style>${STYLE}
</style>
<text class="title" x="${LEFT}" y="18">${heading}</text>
${parts.join('\n')}
</svg>
`;
}
