// Draws a Mermaid sequence diagram as SVG: participants, messages (->> and -->>), notes. GitHub draws the same text itself.

const ROW = 34;
const TOP = 44;
/** Widths of characters are estimated, because there is no font here. */
const CHARACTER = 6.6;
const GAP = 28;

export function sequenceSvg(source) {
  const { participants, steps } = parse(source);
  const columns = positions(participants, steps);
  const x = (id) => columns[participants.findIndex((one) => one.id === id)];
  const height = TOP + (steps.length + 1) * ROW;
  const width = columns.at(-1) + labelWidth(participants.at(-1).label) / 2 + 12;
  const parts = participants.flatMap(({ label }, n) => {
    const half = labelWidth(label) / 2 + 10;
    return [
      `<line class="life" x1="${columns[n]}" x2="${columns[n]}" y1="34" y2="${height - 8}"/>`,
      `<rect class="box" x="${columns[n] - half}" y="4" width="${half * 2}" height="30" rx="6"/>`,
      text(columns[n], 24, label, 'name'),
    ];
  });
  steps.forEach(({ from, to, label, isNote, isAnswer }, n) => {
    const y = TOP + (n + 1) * ROW - 8;
    const middle = (x(from) + x(to)) / 2;
    if (isNote) {
      const half = labelWidth(label) / 2 + 10;
      parts.push(
        `<rect class="note" x="${middle - half}" y="${y - 20}" width="${half * 2}" height="26" rx="4"/>`,
        text(middle, y - 3, label, 'label'),
      );
      return;
    }
    const tip = x(to);
    const back = tip > x(from) ? -8 : 8;
    parts.push(
      `<line class="${isAnswer ? 'answer' : 'message'}" x1="${x(from)}" x2="${tip + back / 2}" y1="${y}" y2="${y}"/>`,
      `<path class="tip" d="M${tip} ${y}l${back} -4v8z"/>`,
      text(middle, y - 6, label, 'label'),
    );
  });
  const description = `Sequence diagram of ${participants.map(({ label }) => label).join(', ')}`;
  // No blank line may follow: Markdown would end the HTML there.
  return `<svg class="sequence" role="img" aria-label="${description}" viewBox="0 0 ${width} ${height}" style="max-width:${width}px">${parts.join('')}</svg>`;
}

function parse(source) {
  const participants = [];
  const steps = [];
  for (const line of source.split('\n').map((one) => one.trim())) {
    const participant = line.match(/^participant (\w+) as (.+)$/);
    const note = line.match(/^Note over (\w+)(?:,(\w+))?: (.+)$/);
    const message = line.match(/^(\w+)(-?)->>(\w+): (.+)$/);
    if (participant) participants.push({ id: participant[1], label: participant[2] });
    else if (note) {
      steps.push({ from: note[1], to: note[2] ?? note[1], label: note[3], isNote: true });
    } else if (message) {
      const [, from, dash, to, label] = message;
      steps.push({ from, to, label, isAnswer: dash === '-' });
    } else if (line !== '' && line !== 'sequenceDiagram') {
      throw new Error(`sequence diagram: not supported: ${line}`);
    }
  }
  return { participants, steps };
}

/** The horizontal position of every participant, far enough apart for the labels between neighbors. */
function positions(participants, steps) {
  const gaps = participants.slice(1).map(({ label }, n) => {
    const pair = [participants[n].id, participants[n + 1].id];
    const between = steps
      .filter(({ from, to, isNote }) => !isNote && pair.includes(from) && pair.includes(to))
      .map((step) => labelWidth(step.label) + GAP);
    return Math.max(120, labelWidth(label) + 40, ...between);
  });
  const columns = [labelWidth(participants[0].label) / 2 + 12];
  for (const gap of gaps) columns.push(columns.at(-1) + gap);
  return columns;
}

const labelWidth = (label) => Math.ceil(label.length * CHARACTER);

const text = (x, y, content, kind) =>
  `<text class="${kind}" x="${x}" y="${y}">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;
