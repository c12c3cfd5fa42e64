// Parses a PromQL expression as far as the tests need it: metric names and labels.

const WORDS = new Set(
  `by without on ignoring group_left group_right bool and or unless offset
   sum min max avg count rate irate increase histogram_quantile avg_over_time max_over_time topk clamp_min scalar vector time label_values`.split(
    /\s+/,
  ),
);

export interface Query {
  /** Names of the metrics that it selects. */
  metrics: string[];
  /** Label → the values that it is compared with; empty if it is only grouped by. */
  labels: Map<string, string[]>;
}

export function parseQuery(expression: string): Query {
  const labels = new Map<string, string[]>();
  const note = (label: string, value?: string) => {
    const values = labels.get(label) ?? [];
    labels.set(label, value === undefined ? values : [...values, value]);
  };
  const bare = expression
    .replace(/\{([^}]*)\}/g, (_all, matchers: string) => {
      for (const [, label = '', value = ''] of matchers.matchAll(
        /(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g,
      )) {
        note(label, value);
      }
      return ' ';
    })
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g, (_all, list: string) => {
      for (const label of list.split(/\s*,\s*/)) note(label.trim());
      return ' ';
    });
  const metrics = (bare.match(/[a-zA-Z_:][a-zA-Z0-9_:]*/g) ?? []).filter(
    (word) => !WORDS.has(word),
  );
  return { metrics: [...new Set(metrics)], labels };
}
