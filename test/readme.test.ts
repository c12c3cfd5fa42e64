// The README's examples, run as they stand: the commands in a shell, the page in two tabs of a browser.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { launchBrowser } from '../packages/server/test/support/browser.js';
import { describeWith } from '../packages/server/test/support/components.js';
import { startServer, temporaryFolder } from '../packages/server/test/support/server.js';
import { blocks, read } from './support/papers.js';

const readme = read('README.md');
const server = await startServer();
afterAll(() => server.close());
const folder = temporaryFolder();

/** An example, aimed at the server of this test. */
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
    expect(created).toEqual({ ok: true, exp: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(accepted).toEqual({ roomid: expect.stringMatching(/^[0-9a-f]{48}$/) });
    expect(checked).toEqual(accepted);
    expect(more).toEqual([]);
  });
});

describeWith(['chromium'], 'the page of the README', () => {
  test('lets two tabs talk', async () => {
    const file = join(folder, 'talk.html');
    writeFileSync(file, aimed(blocks(readme, 'html')[0]));
    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const tab = async (): Promise<Page> => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(pathToFileURL(file).href);
      return page;
    };
    const says = (page: Page, text: string) => page.getByText(text).waitFor();
    const [one, other] = [await tab(), await tab()];

    await one.click('#make');
    await says(one, 'code: ');
    const code = /code: (\d{6})/.exec((await one.textContent('#log')) ?? '')?.[1];
    await other.fill('[name=code]', code ?? '');
    await other.click('#join button');

    for (const page of [one, other]) await says(page, 'connected, peer to peer');
    await one.fill('[name=text]', 'hello');
    await one.press('[name=text]', 'Enter');
    await says(other, 'peer: hello');
    await other.fill('[name=text]', 'hello yourself');
    await other.press('[name=text]', 'Enter');
    await says(one, 'peer: hello yourself');
  }, 60_000);
});
