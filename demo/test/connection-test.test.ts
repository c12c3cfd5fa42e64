// Tests the demo's connection test against a real coturn and against unreachable servers.
import { describeWith } from '@couplet/testkit/components';
import { coturn, SECRET } from '@couplet/testkit/turn-fixture';
import { expect, test } from 'vitest';
import { startSite, useBrowser, type Visitor, visit } from './support/visitor.js';

describeWith(['chromium', 'turnserver'], 'the connection test', () => {
  useBrowser();

  /** Runs the test on a server with these settings; resolves to its report. */
  async function examine(env: Record<string, string>) {
    const { url } = await startSite(env);
    const visitor = await visit(url, { path: '/demo/#test' });
    await visitor.button('Start the test').click();
    await visitor.page.getByText('Done.').waitFor();
    expect(visitor.complaints).toEqual([]);
    return report(visitor);
  }

  test('reports a relay that works over UDP and TCP', async () => {
    const { port } = await coturn();
    const urls = [`turn:127.0.0.1:${port}`, `turn:127.0.0.1:${port}?transport=tcp`];
    const { steps, findings } = await examine({
      TURN_SECRET: SECRET,
      TURN_URLS: urls.join(),
      STUN_URLS: `stun:127.0.0.1:${port}`,
    });
    expect(steps).toMatchObject({
      Pairing: expect.stringMatching(/^works in .* ms$/),
      Signaling: 'works',
      'WebRTC in this browser': 'works',
    });
    for (const url of urls) expect(steps[url], url).toMatch(/^works in .*s$/);
    // There is no NAT between this browser and coturn.
    expect(steps[`stun:127.0.0.1:${port}`]).toMatch(/^(works|nothing new) in/);
    expect(findings).toContain(
      'A relay is available: connections work even behind strict firewalls.',
    );
    expect(findings.join()).not.toContain('UDP seems to be blocked');
  });

  test('reports a relay that refuses the credentials because the secrets differ', async () => {
    const { port } = await coturn({ env: { TURN_SECRET: 'quite another secret' } });
    const turn = `turn:127.0.0.1:${port}`;
    const { steps, texts, findings } = await examine({ TURN_SECRET: SECRET, TURN_URLS: turn });
    expect(steps[turn]).toMatch(/^does not work in/);
    expect(texts[turn]).toContain('refuses the credentials (401)');
    expect(findings.join()).toContain('refuses the credentials');
  });

  test('reports that there is no TURN server, and deletes its devices', async () => {
    const { url, app } = await startSite();
    const visitor = await visit(url, { path: '/demo/#test' });
    const purged = visitor.page.waitForResponse(/user.purge/);
    await visitor.button('Start the test').click();
    expect(await (await purged).json()).toMatchObject({ success: true, roomsDeleted: 1 });
    await visitor.page.getByText('Done.').waitFor();
    const { findings } = await report(visitor);
    expect(findings.join()).toContain('provides no TURN server');
    await expect.poll(async () => (await app.inject('/rooms')).json().rooms).toEqual([]);
  });

  test('reports that the server cannot be reached', async () => {
    const { url } = await startSite();
    const visitor = await visit(url, { path: '/demo/#test' });
    await visitor.page.route('**/api/**', (route) =>
      route.fulfill({ status: 404, json: { error: 'rooms_api_disabled' } }),
    );
    await visitor.button('Start the test').click();
    await visitor.page.getByText('Done.').waitFor();
    const { steps, texts } = await report(visitor);
    expect(steps).toEqual({ Pairing: 'does not work' });
    expect(texts.Pairing).toContain('Pairing is turned off on this server');
  });
});

async function report({ page }: Visitor) {
  const all = (selector: string) => page.locator(selector).allInnerTexts();
  const names = await all('#test-steps strong');
  const byName = (values: string[]): Record<string, string> =>
    Object.fromEntries(names.map((name, n) => [name, values[n] ?? '']));
  return {
    steps: byName(await all('#test-steps .verdict')),
    texts: byName(await all('#test-steps .hint')),
    findings: await all('#test-findings li'),
  };
}
