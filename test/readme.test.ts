// Runs the examples of the README unchanged: the commands in a shell, the page in two tabs of a browser.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { launchBrowser, openDevice } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { startServer, temporaryFolder } from '@couplet/testkit/server';
import type { Page } from 'playwright-core';
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

describeWith(['chromium'], 'the page of the README', () => {
  test('lets two devices exchange messages when it is opened as a file', async () => {
    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const file = join(temporaryFolder(), 'pair.html');
    writeFileSync(file, aimed(blocks(readme, 'html')[0]));
    const open = async () => (await openDevice(browser, pathToFileURL(file).href)).page;
    const [one, other] = await Promise.all([open(), open()]);
    const lines = (page: Page) => page.locator('#log').textContent();
    await expect.poll(() => lines(one)).toMatch(/^code: \d{6}\n$/);
    await other.fill('#code', '12');
    await other.click('#join');
    await expect.poll(() => lines(other)).toMatch(/^code: \d{6}\nA code has 6 or 12 digits\.\n$/);
    await other.fill('#code', String(await lines(one)).match(/\d{6}/)?.[0] ?? '');
    await other.click('#join');
    for (const page of [one, other]) {
      await expect.poll(() => lines(page)).toMatch(/^code: \d{6}\n(A code .*\n)?peer: hello\n$/);
    }
  });
});
