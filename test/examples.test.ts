// Runs the examples and those of the README unchanged: plain pages, React, Node, mounted servers, and commands of a shell.
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { pairDevices } from '@couplet/testkit/api';
import { launchBrowser, openDevice, servePage } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { Peer } from '@couplet/testkit/peer';
import { startServer, temporaryFolder } from '@couplet/testkit/server';
import type { Browser, Page } from 'playwright-core';
import { build as bundle, type Rolldown } from 'vite';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { start as startExpress } from '../examples/mount-express/server.js';
import { start as startFastify } from '../examples/mount-fastify/server.js';
import { runProgram } from './support/terminal.js';
import { blocks, ROOT, read } from './support.js';

const server = await startServer();
afterAll(() => server.close());

/** An example, pointed at the server of this test. */
const aimed = (example = '') => example.replaceAll('http://localhost:8080', server.url);
const readme = read('README.md');

describeWith(['curl'], 'the commands of the README', () => {
  test('pair two devices', async () => {
    const [commands] = blocks(readme, 'sh').filter((block) => block.includes('curl'));
    const { stdout } = await promisify(execFile)('sh', ['-ec', aimed(commands)]);
    const answers = stdout.trim().split(/(?<=\})/);
    const [created, accepted, checked, ...more] = answers.map((answer) => JSON.parse(answer));
    const secret = expect.stringMatching(/^[\w-]{43}$/);
    const roomid = expect.stringMatching(/^[0-9a-f]{48}$/);
    expect(created).toEqual({ ok: true, exp: expect.stringMatching(/^\d{4}-.*Z$/), secret });
    expect(accepted).toEqual({ roomid, secret });
    expect(checked).toEqual({ roomid: accepted.roomid });
    expect(more).toEqual([]);
  });
});

test.each([
  ['mount-express', startExpress],
  ['mount-fastify', startFastify],
] as const)(
  'examples/%s serves the application, and pairing and signaling below /couplet; both end with one close',
  async (_name, start) => {
    const { port, close } = await start(0, { SQLITE_DB_PATH: ':memory:' });
    const origin = `http://localhost:${port}`;
    expect(await (await fetch(origin)).text()).toBe('an application of its own');
    expect((await fetch(`${origin}/api/rooms`, { method: 'POST' })).status).toBe(404);
    const { roomid, client1 } = await pairDevices(`${origin}/couplet`);
    const peer = await Peer.connect(`${origin.replace('http', 'ws')}/couplet`);
    await peer.join(roomid, client1);
    await close();
    // The peer reconnects after this code.
    expect((await peer.closed).code).toBe(1012);
    await expect(fetch(origin)).rejects.toThrow('fetch failed');
  },
);

const chat = (...args: string[]) =>
  runProgram(process.execPath, ['examples/node/main.js', ...args], { COUPLET_URL: server.url });

describe('examples/node', () => {
  test('two processes exchange messages, and both end when one leaves', async () => {
    const host = chat();
    const guest = chat(await host.shows(/^code: (\d{6})$/m));
    for (const side of [host, guest]) await side.shows(/^connected, peer to peer$/m);
    host.type('hello\n');
    await guest.shows(/^peer: hello$/m);
    guest.type('hello yourself\n');
    await host.shows(/^peer: hello yourself$/m);
    guest.child.stdin.end();
    await host.shows(/^the peer has left$/m);
    expect([await guest.ended, await host.ended]).toEqual([0, 0]);
  });

  test('a wrong code ends it with the error', async () => {
    const guest = chat('000000');
    await expect(guest.shows(/^connected/m)).rejects.toThrow('not_found_or_expired');
    expect(await guest.ended).toBe(1);
  });
});

describeWith(['chromium'], 'examples in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser.close());

  /** Opens a page with its scripts in a separate context. */
  async function open(html: string, scripts: Record<string, string> = {}): Promise<Page> {
    const site = servePage(html, scripts);
    onTestFinished(() => site.close());
    return (await openDevice(browser, await site.url)).page;
  }

  const says = (page: Page, text: string) => page.getByText(text).waitFor();
  const codeOf = async (page: Page) => {
    await page.click('#make');
    await says(page, 'code: ');
    return /code: (\d{6})/.exec((await page.textContent('#log')) ?? '')?.[1] ?? '';
  };
  const join = async (page: Page, code: string) => {
    await page.fill('[name=code]', code);
    await page.click('#join button');
  };
  const write = async (page: Page, text: string) => {
    await page.fill('#write [name=text]', text);
    await page.press('#write [name=text]', 'Enter');
  };

  test.each(['examples/html', 'examples/without-client'])(
    '%s: two tabs exchange messages',
    async (folder) => {
      const html = aimed(read(`${folder}/index.html`));
      const [one, other] = [await open(html), await open(html)];
      await join(other, await codeOf(one));
      for (const page of [one, other]) await says(page, 'connected, peer to peer');
      await write(one, 'hello');
      await says(other, 'peer: hello');
      await write(other, 'hello yourself');
      await says(one, 'peer: hello yourself');
    },
  );

  test('the page of the README lets two devices exchange messages when it is opened as a file', async () => {
    const file = `${temporaryFolder()}/pair.html`;
    writeFileSync(file, aimed(blocks(readme, 'html')[0]));
    const openFile = async () => (await openDevice(browser, pathToFileURL(file).href)).page;
    const [one, other] = await Promise.all([openFile(), openFile()]);
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

  test('examples/node talks with examples/html', async () => {
    const page = await open(aimed(read('examples/html/index.html')));
    const terminal = chat(await codeOf(page));
    await says(page, 'connected, peer to peer');
    await terminal.shows(/^connected/m);
    await write(page, 'hello');
    await terminal.shows(/^peer: hello$/m);
    terminal.type('hello yourself\n');
    await says(page, 'peer: hello yourself');
    terminal.child.stdin.end();
    expect(await terminal.ended).toBe(0);
    await says(page, 'connecting');
  });

  describe('examples/react', () => {
    const scripts: Record<string, string> = {};
    let html = '';
    beforeAll(async () => {
      const { output } = (await bundle({
        root: `${ROOT}examples/react`,
        configFile: false,
        logLevel: 'warn',
        define: {
          'import.meta.env.VITE_COUPLET_URL': JSON.stringify(server.url),
          // In production StrictMode does nothing.
          'process.env.NODE_ENV': '"development"',
        },
        plugins: [
          {
            name: 'root-for-the-test',
            transform: (code, id) => {
              if (!id.endsWith('/main.tsx')) return undefined;
              return code.replace('createRoot(root)', '(window.root = createRoot(root))');
            },
          },
        ],
        build: { write: false, minify: false, modulePreload: { polyfill: false } },
      })) as Rolldown.RolldownOutput;
      for (const file of output) {
        if (file.type === 'chunk') scripts[`/${file.fileName}`] = file.code;
        else if (file.fileName === 'index.html') html = String(file.source);
      }
    });

    const status = (page: Page, text: string | RegExp) =>
      page.getByRole('status').filter({ hasText: text }).waitFor();
    const invite = async (page: Page) => {
      await page.getByRole('button', { name: 'Create a code' }).click();
      return (await page.locator('output').textContent()) ?? '';
    };
    const accept = async (page: Page, code: string) => {
      await page.getByLabel('Code').fill(code);
      await page.getByRole('button', { name: 'Join' }).click();
    };
    const send = async (page: Page, text: string) => {
      await page.getByLabel('Message').fill(text);
      await page.getByRole('button', { name: 'Send' }).click();
    };
    const unmount = (page: Page) =>
      page.evaluate(() => (window as unknown as { root: { unmount(): void } }).root.unmount());

    test('two tabs exchange messages in StrictMode, and an unmounted component leaves', async () => {
      const [one, other] = [await open(html, scripts), await open(html, scripts)];
      await accept(other, await invite(one));
      for (const page of [one, other]) await status(page, /^connected \((host|srflx)\)$/);
      await send(one, 'hello');
      await says(other, 'peer: hello');
      await send(other, 'hello yourself');
      await says(one, 'peer: hello yourself');
      expect(await one.getByRole('listitem').allTextContents()).toEqual([
        'me: hello',
        'peer: hello yourself',
      ]);
      const file = { name: 'hello.txt', mimeType: 'text/plain', buffer: Buffer.from('in a file') };
      await one.getByLabel('Files').setInputFiles(file);
      await says(one, 'me: hello.txt 9 of 9 bytes');
      const download = other.waitForEvent('download');
      await other.getByRole('link', { name: 'hello.txt' }).click();
      expect(await (await (await download).createReadStream()).toArray()).toEqual([file.buffer]);
      await one.getByRole('button', { name: 'Call' }).click();
      await other.getByRole('button', { name: 'Answer' }).click();
      for (const page of [one, other]) {
        const width = () =>
          page.locator('video').evaluate((video) => (video as HTMLVideoElement).videoWidth);
        await expect.poll(width).toBeGreaterThan(0);
      }
      await other.getByRole('button', { name: 'Hang up' }).click();
      await one.getByRole('button', { name: 'Call' }).waitFor();
      await unmount(other);
      await status(one, 'connecting');
      await one.getByRole('button', { name: 'Leave' }).click();
      await status(one, 'idle');
    });

    test('waiting can be stopped, and another pairing started', async () => {
      const page = await open(html, scripts);
      const held = page.waitForRequest((request) => request.url().endsWith('/check'));
      await invite(page);
      const request = await held;
      const given = page.waitForEvent('requestfailed', (failed) => failed === request);
      await page.getByRole('button', { name: 'Leave' }).click();
      await given;
      await status(page, 'idle');
      expect(await page.getByRole('alert').count()).toBe(0);
      expect(await invite(page)).toMatch(/^\d{6}$/);
    });
  });
});

describe('the package.json of an example', () => {
  const manifest = (path: string) => JSON.parse(read(path));
  const { devDependencies } = manifest('package.json');
  const { dependencies } = manifest('packages/server/package.json');
  const ours = Object.fromEntries(
    readdirSync(`${ROOT}packages`).map((name) => {
      const { version } = manifest(`packages/${name}/package.json`);
      return [`@couplet/${name}`, `^${version}`];
    }),
  );

  test.each(readdirSync(`${ROOT}examples`))(
    'examples/%s: if it has one, it requires the versions that the tests ran with',
    (name) => {
      if (!readdirSync(`${ROOT}examples/${name}`).includes('package.json')) return;
      const wanted = manifest(`examples/${name}/package.json`);
      const all = { ...wanted.dependencies, ...wanted.devDependencies };
      expect({ ...dependencies, ...devDependencies, ...ours }).toMatchObject(all);
    },
  );
});
