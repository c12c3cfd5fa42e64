// Checks dashboard, alerts and scrape configuration against the metrics.
import type { MetricDescription } from '@couplet/server';
import * as server from '@couplet/server';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { allMetrics } from '../scripts/all-metrics.js';
import { read } from './support.js';

const metrics = await allMetrics(server);

const ours = new Map(metrics.descriptions.map((description) => [description.name, description]));
const SUFFIXES: Record<MetricDescription['type'], readonly string[]> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
};
/** Every sample name of a scrape, with the metric that it belongs to. */
const series = new Map<string, MetricDescription | undefined>([
  // Prometheus itself creates this one for every target.
  ['up', undefined],
  ...metrics.names.filter((name) => !ours.has(name)).map((name) => [name, undefined] as const),
  ...[...ours.values()].flatMap((each) =>
    SUFFIXES[each.type].map((suffix) => [each.name + suffix, each] as const),
  ),
]);

const WORDS = new Set(
  `by without on ignoring group_left group_right bool and or unless offset
   sum min max avg count rate irate increase histogram_quantile avg_over_time max_over_time topk clamp_min scalar vector time label_values`.split(
    /\s+/,
  ),
);

interface Query {
  /** Names of the metrics that it selects. */
  metrics: string[];
  /** Label → the values that it is compared with; empty if it is only grouped by. */
  labels: Map<string, string[]>;
}

/** Parses a PromQL expression as far as the tests need it. */
function parseQuery(expression: string): Query {
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

interface Panel {
  type: string;
  title: string;
  datasource?: { uid: string };
  targets?: { expr: string; legendFormat: string; datasource: { uid: string } }[];
}
const dashboard = JSON.parse(read('deploy/grafana/couplet.json')) as {
  panels: Panel[];
  templating: { list: { name: string; type: string; query: unknown }[] };
};

interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}
const rules = parse(read('deploy/prometheus/alerts.yml')).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
) as Rule[];

const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);
const alerts = rules.map(({ alert, expr }) => [alert, expr] as const);

/** The form of a variable in a dashboard. */
const DATASOURCE = ['$', 'datasource}'].join('{');

/** Labels that Prometheus adds to every series. */
const TARGET_LABELS = ['instance', 'job'];

describe.each([
  ['panel', panels],
  ['alert', alerts],
] as const)('every %s', (_kind, queries) => {
  test.each(queries)('%s: uses metrics and labels that exist: %s', (_title, expression) => {
    const query = parseQuery(expression);
    expect(query.metrics).not.toEqual([]);
    for (const name of query.metrics) expect([...series.keys()]).toContain(name);
    const known = query.metrics.flatMap((name) => series.get(name) ?? []);
    for (const [label, values] of query.labels) {
      if (TARGET_LABELS.includes(label) || (label === 'le' && expression.includes('_bucket')))
        continue;
      const described = known.filter(({ labels }) => label in labels);
      expect(described, `label ${label}`).not.toEqual([]);
      for (const { labels } of described) {
        const allowed = labels[label];
        if (typeof allowed === 'string') continue;
        for (const value of values.flatMap((pattern) => pattern.split('|'))) {
          expect(allowed).toContain(value);
        }
      }
    }
  });
});

describe('deploy/grafana/couplet.json', () => {
  test('takes its data source from a variable everywhere', () => {
    expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
    for (const { type, datasource, targets = [] } of dashboard.panels) {
      if (type === 'row') continue;
      for (const each of [datasource, ...targets.map((target) => target.datasource)]) {
        expect(each?.uid).toBe(DATASOURCE);
      }
    }
  });

  test('shows every metric of the server', () => {
    const shown = new Set(panels.flatMap(([, expr]) => parseQuery(expr).metrics));
    const missing = [...ours.values()].filter(
      ({ name, type }) => !SUFFIXES[type].some((suffix) => shown.has(name + suffix)),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});

describe('deploy/prometheus', () => {
  test('every alert has a severity, a summary and a description', () => {
    for (const { labels, annotations } of rules) {
      expect(labels.severity).toMatch(/^(page|ticket)$/);
      expect(annotations.summary).toBeTruthy();
      expect(annotations.description).toBeTruthy();
    }
  });

  test('the scrape configuration loads these alerts, and scrapes /metrics', () => {
    const config = parse(read('deploy/prometheus/prometheus.yml'));
    expect(config.rule_files).toEqual(['alerts.yml']);
    expect(config.scrape_configs).toHaveLength(1);
    expect(config.scrape_configs[0]).toMatchObject({
      job_name: 'couplet',
      metrics_path: '/metrics',
      authorization: { type: 'Bearer' },
    });
  });
});
