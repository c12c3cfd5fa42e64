// Runs the examples of the README unchanged: the commands in a shell, the scripts in two pages of a browser.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { launchBrowser, openDevice, servePage } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { blocks, read } from './support/papers.js';

const readme = read('README.md');
const server = await startServer();
afterAll(() => server.close());

/** An example, pointed at the server of this test. */
const aimed = (example: string | undefined) =>
  (example ?? '').replaceAll('http://localhost:8080', server.url);

describeWith(['curl'], 'the commands of the README', () => {
  test('pair two devices', async () => {
    const [commands] = blocks(readme, 'sh').filter((block) => block.includes('curl'));
    const { stdout } = await promisify(execFile)('sh', ['-ec', aimed(commands)]);
    const [created, accepted, checked, ...more] = stdout
      .trim()
      .split(/(?<=\})/)
      .map((answer) => JSON.parse(answer));
    const secret = expect.stringMatching(/^[\w-]{43}$/);
    const roomid = expect.stringMatching(/^[0-9a-f]{48}$/);
    expect(created).toEqual({ ok: true, exp: expect.stringMatching(/^\d{4}-.*Z$/), secret });
    expect(accepted).toEqual({ roomid, secret });
    expect(checked).toEqual({ roomid: accepted.roomid });
    expect(more).toEqual([]);
  });
});

describeWith(['chromium'], 'the two scripts of the README', () => {
  test('let two devices exchange messages', async () => {
    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const open = async (script: string | undefined, code = '') => {
      const page = `<!doctype html><pre></pre><script type="module">
        const show = (text) => document.querySelector('pre').append(text, '\\n');
        const code = '${code}';
        ${aimed(script)}
      </script>`;
      const site = servePage(page, {});
      onTestFinished(() => site.close());
      return (await openDevice(browser, await site.url)).page.locator('pre');
    };
    const [host, guest] = blocks(readme, 'js');
    const one = await open(host);
    await expect.poll(() => one.textContent()).toMatch(/^\d{6}\n$/);
    const other = await open(guest, (await one.textContent())?.trim());
    await expect.poll(() => other.textContent(), PATIENT).toBe('hello\n');
    await expect.poll(() => one.textContent(), PATIENT).toMatch(/^\d{6}\nhello yourself\n$/);
  }, 60_000);
});

/** Allows a loaded machine enough time for two sides that wait for each other. */
const PATIENT = { timeout: 30_000 };
