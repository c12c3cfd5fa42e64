// The metrics registry: output, descriptions, and metrics that cannot be read.
import { readdirSync, readFileSync } from 'node:fs';
import perfHooks from 'node:perf_hooks';
import { pairOfPeers } from '@couplet/testkit/peer';
import { parseMetrics } from '@couplet/testkit/prometheus';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Metrics } from '../../src/observability/metrics.js';

test('a counter and a gauge have the value of their owner at the scrape', async () => {
  const metrics = new Metrics();
  const owner = { plain: 0, byKind: { a: 0, b: 0 }, level: 0 };
  metrics.count('x_total', 'X.', () => owner.plain);
  metrics.counts('y_total', 'Y.', 'kind', () => owner.byKind);
  metrics.level('z', 'Z.', async () => owner.level);
  metrics.levels('w', 'W.', 'kind', ['a', 'b'], () => owner.byKind);
  const before = parseMetrics(await metrics.text());
  expect([before.value('x_total'), before.value('y_total', { kind: 'b' })]).toEqual([0, 0]);
  Object.assign(owner, { plain: 3, byKind: { a: 4, b: 5 }, level: -6 });
  const after = parseMetrics(await metrics.text());
  expect(after.value('x_total')).toBe(3);
  expect(after.value('y_total', { kind: 'a' })).toBe(4);
  expect(after.value('y_total', { kind: 'b' })).toBe(5);
  expect(after.value('z')).toBe(-6);
  expect(after.value('w', { kind: 'b' })).toBe(5);
});

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

test('a timer has all values of its label from the start', async () => {
  const metrics = new Metrics();
  const time = metrics.timer('x_seconds', 'X.', 'operation', ['read', 'write']);
  time('write', 0.003);
  const { value } = parseMetrics(await metrics.text());
  expect(value('x_seconds_count', { operation: 'read' })).toBe(0);
  expect(value('x_seconds_count', { operation: 'write' })).toBe(1);
  expect(value('x_seconds_sum', { operation: 'write' })).toBe(0.003);
  expect(value('x_seconds_bucket', { operation: 'write', le: '0.0025' })).toBe(0);
  expect(value('x_seconds_bucket', { operation: 'write', le: '0.005' })).toBe(1);
});

test('every metric is described with its type and its label values', () => {
  const metrics = new Metrics();
  metrics.counts('x_total', 'X.', 'kind', () => ({ a: 0, b: 0 }));
  metrics.timer('y_seconds', 'Y.', 'operation', ['read']);
  expect(metrics.descriptions).toEqual([
    { name: 'x_total', type: 'counter', help: 'X.', labels: { kind: ['a', 'b'] } },
    { name: 'y_seconds', type: 'histogram', help: 'Y.', labels: { operation: ['read'] } },
  ]);
  expect(metrics.names()).toEqual(expect.arrayContaining(['x_total', 'y_seconds']));
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

test('signaling counts in plain numbers without metric labels, and only a scrape reads them', async () => {
  const folder = new URL('../../src/signaling/', import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => file.endsWith('.ts'));
  const knowing = sources.filter((file) =>
    /observability\/metrics\.js'|prom-client/.test(readFileSync(new URL(file, folder), 'utf8')),
  );
  expect(knowing.sort()).toEqual(['cluster/metrics.ts', 'metrics.ts']);

  const metrics = new Metrics();
  const server = await startServer({}, { metrics });
  onTestFinished(() => server.close());
  const [first, second] = await pairOfPeers(server.wsUrl, 'a room');
  for (let n = 0; n < 200; n++) first.send({ type: 'ice_candidate', candidate: null });
  for (let n = 0; n < 200; n++) await second.next('ice_candidate');
  const { value } = parseMetrics(await metrics.text());
  expect(value('couplet_forwards_total', { type: 'ice_candidate' })).toBe(200);
});
