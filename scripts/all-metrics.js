// Collects the metrics of a single server and of a cluster node, from servers that are built but never listen.

/** An address without a Redis: a cluster node registers its metrics without Redis too. */
const NO_REDIS = 'redis://127.0.0.1:1';

/** The same for a TURN provider and a push service. Each push service registers the metrics of all. */
const NOWHERE = {
  ICE_SERVERS_URL: 'http://127.0.0.1:1',
  PUSH_WEBHOOK_URL: 'http://127.0.0.1:1',
  PUSH_WEBHOOK_SECRET: `whsec_${'A'.repeat(32)}`,
};

/**
 * @param {Pick<typeof import('@couplet/server'), 'Metrics' | 'buildApp' | 'parseConfig'>} server
 * @returns {Promise<{ descriptions: import('@couplet/server').MetricDescription[], names: string[] }>} a metric of both
 *   servers is described once, with the label values of both
 */
export async function allMetrics({ Metrics, buildApp, parseConfig }) {
  const alone = { USE_SQLITE: '1', SQLITE_DB_PATH: ':memory:', ...NOWHERE };
  const known = new Map();
  const names = new Set();
  for (const settings of [alone, { REDIS_URL: NO_REDIS, REDIS_TIMEOUT_MS: '100' }]) {
    const metrics = new Metrics();
    await (await buildApp(parseConfig(settings), { metrics })).close();
    for (const [, name] of (await metrics.text()).matchAll(/^# TYPE (\S+)/gm)) names.add(name);
    for (const description of metrics.descriptions) {
      const { labels } = known.get(description.name) ?? { labels: {} };
      known.set(description.name, { ...description, labels: joined(labels, description.labels) });
    }
  }
  return { descriptions: [...known.values()], names: [...names] };
}

function joined(some, others) {
  return Object.fromEntries(
    Object.entries(others).map(([label, values]) => {
      if (typeof values === 'string') return [label, values];
      return [label, [...new Set([...(some[label] ?? []), ...values])]];
    }),
  );
}
