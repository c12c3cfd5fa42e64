// Parses the Prometheus text format strictly, so that each read also tests the format.

export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export interface Scrape {
  /** Name → type, of every declared metric. */
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
  /** The value of the one sample with this name and exactly these labels; undefined if there is none. */
  value(name: string, labels?: Record<string, string>): number | undefined;
  /** The values of a label, over all samples of a metric. */
  labelValues(name: string, label: string): string[];
}

const COMMENT = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/;
const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([-+]?(?:[0-9.]+(?:e[-+]?\d+)?|Inf)|Nan|NaN)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

/** @throws Error at the first line that does not follow the format */
export function parseMetrics(text: string): Scrape {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, kind, declared = '', rest = ''] = COMMENT.exec(line) ?? [];
    if (kind === 'TYPE') {
      if (types.has(declared)) throw new Error(`${declared} is declared twice`);
      types.set(declared, rest);
    }
    if (kind !== undefined) continue;
    const [, name = '', labels = '', value] = SAMPLE.exec(line) ?? [];
    if (value === undefined) throw new Error(`not of the format: ${line}`);
    if (!types.has(familyOf(name, types))) throw new Error(`${name} is not declared`);
    samples.push({
      name,
      labels: labelsOf(labels),
      value: Number(value.replace('Inf', 'Infinity')),
    });
  }
  const key = (labels: Readonly<Record<string, string>>) =>
    JSON.stringify(Object.entries(labels).sort());
  return {
    types,
    samples,
    value: (name, labels = {}) =>
      samples.find((each) => each.name === name && key(each.labels) === key(labels))?.value,
    labelValues: (name, label) => [
      ...new Set(
        samples
          .filter((each) => familyOf(each.name, types) === name)
          .flatMap(({ labels }) => labels[label] ?? []),
      ),
    ],
  };
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const found = LABEL.exec(text);
    if (found === null) throw new Error(`no labels: ${text}`);
    labels[found[1] as string] = found[2] as string;
  }
  return labels;
}

/** The metric of a sample: samples of a histogram have suffixes. */
function familyOf(name: string, types: ReadonlyMap<string, string>): string {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return types.has(name) ? name : base;
}

/** Reads and parses GET /metrics. */
export async function scrape(url: string, headers: Record<string, string> = {}): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`, { headers });
  if (response.status !== 200) throw new Error(`GET /metrics answered ${response.status}`);
  return parseMetrics(await response.text());
}
