// Formats rows and judgments as text for a terminal.
import {
  median,
  medianOf,
  medianShare,
  type Row,
  ratiosOf,
  type ServerName,
  spreadOf,
} from '../figures/row.js';
import { goalText, type Judgement } from '../goals.js';
import { percent, shown } from './numbers.js';

export function rowText(row: Row, judgements: readonly Judgement[]): string {
  const lines = [`  ${row.label}  [${row.unit}]`];
  for (const [name, figure] of Object.entries(row.figures)) {
    const ratios = name === 'couplet' ? [] : ratiosOf(row, name as ServerName);
    const [server, load, crowded] = [figure.serverCpu, figure.loadCpu, figure.crowded].map(
      (shares) => medianShare(shares),
    );
    const cpu =
      load == null
        ? ''
        : `server ${percent(server)}, load ${percent(load)}, kept waiting ${percent(crowded)}`;
    lines.push(
      [
        `    ${name.padEnd(8)}`,
        shown(medianOf(figure)).padStart(9),
        `spread ${percent(spreadOf(figure)).padStart(5)}`,
        (ratios.length > 0 ? `ours is ${shown(median(ratios))} ×` : '').padEnd(15),
        cpu,
        figure.errors > 0 ? `${figure.errors} ERRORS` : '',
      ]
        .join('  ')
        .trimEnd(),
    );
  }
  for (const { goal, value, met } of judgements.filter(({ goal }) => goal.row === row.id)) {
    lines.push(`    ${met ? 'met    ' : 'NOT MET'} ${goalText(goal, row.unit)}: ${shown(value)}`);
  }
  if (row.note !== undefined) lines.push(`    note: ${row.note}`);
  return `${lines.join('\n')}\n`;
}
