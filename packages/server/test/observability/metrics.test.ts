// The metrics registry: output, descriptions, and metrics that cannot be read.
import { readdirSync, readFileSync } from 'node:fs';
import perfHooks from 'node:perf_hooks';
import { parseMetrics } from '@couplet/testkit/prometheus';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Metrics } from '../../src/observability/metrics.js';

test('a metric that cannot be read is omitted until it can be read again', async () => {
  const metrics = new Metrics();
  let broken = false;
  const read = <T>(value: T): T => {
    if (broken) throw new Error('gone');
    return value;
  };
  metrics.level('level', 'X.', () => read(7));
  metrics.level('level_later', 'X.', async () => read(7));
  metrics.levels('levels', 'X.', 'kind', ['a', 'b'], () => read({ a: 7, b: 7 }));
  metrics.levels('levels_later', 'X.', 'kind', ['a', 'b'], async () => read({ a: 7, b: 7 }));
  metrics.count('count', 'X.', () => read(7));
  metrics.counts('counts', 'X.', 'kind', () => read({ a: 7, b: 7 }));
  metrics.level('y', 'Y.', () => 8);
  const valuesNow = async () => {
    const { value } = parseMetrics(await metrics.text());
    const kinds = ['a', 'b'].flatMap((kind) =>
      ['levels', 'levels_later', 'counts'].map((name) => value(name, { kind })),
    );
    return {
      failing: [...['level', 'level_later', 'count'].map((name) => value(name)), ...kinds],
      fine: value('y'),
    };
  };
  const all = { failing: Array(9).fill(7), fine: 8 };
  expect(await valuesNow()).toEqual(all);
  broken = true;
  expect(await valuesNow()).toEqual({ failing: Array(9).fill(undefined), fine: 8 });
  broken = false;
  expect(await valuesNow()).toEqual(all);
});

test('a value that is not a number is left out', async () => {
  const metrics = new Metrics();
  const kinds: string[] = ['a', 'b'];
  metrics.levels('levels', 'X.', 'kind', kinds, () => ({ a: 7 }));
  const ours = (await metrics.text()).split('\n').filter((line) => line.startsWith('levels'));
  expect(ours).toEqual(['levels{kind="a"} 7']);
});

test('the metrics of the process are registered once, however many servers it creates', async () => {
  await new Metrics().text();
  const observe = vi.spyOn(perfHooks, 'monitorEventLoopDelay');
  onTestFinished(() => observe.mockRestore());
  for (let n = 0; n < 3; n++) {
    expect(await new Metrics().text()).toContain('nodejs_eventloop_lag_p99_seconds');
  }
  expect(observe).not.toHaveBeenCalled();
});

test('signaling counts in plain numbers without metric labels, and only a scrape reads them', () => {
  const folder = new URL('../../src/signaling/', import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => file.endsWith('.ts'));
  const knowing = sources.filter((file) =>
    /observability\/metrics\.js'|prom-client/.test(readFileSync(new URL(file, folder), 'utf8')),
  );
  expect(knowing.sort()).toEqual(['cluster/metrics.ts', 'metrics.ts']);
});
