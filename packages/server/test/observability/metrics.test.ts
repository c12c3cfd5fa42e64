// The metrics registry: output, descriptions, and metrics that cannot be read.
import perfHooks from 'node:perf_hooks';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Metrics } from '../../src/observability/metrics.js';

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
