// npm run screenshots: takes the picture of the README from the demo, with two devices that are really connected; light and dark.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare, ROOT } from './prepare.js';

const FOLDER = `${ROOT}docs/images/`;
const CHROMIUM = '/usr/bin/chromium';
const SITE = 'http://couplet.example';
const PHONE = { width: 360, height: 720 };

await prepare();
const { chromium } = await import('playwright-core');
const { buildApp, parseConfig } = await import(`${ROOT}packages/server/dist/index.js`);
const folder = mkdtempSync(join(tmpdir(), 'couplet-screenshots-'));
const app = await buildApp(
  parseConfig({ USE_SQLITE: '1', SQLITE_DB_PATH: join(folder, 'chat.db') }),
);
await app.listen({ port: 0, host: '127.0.0.1' });
const { port } = app.server.address();
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--allow-loopback-in-peer-connection',
    // The name that the picture shows in the link.
    `--host-resolver-rules=MAP couplet.example:80 127.0.0.1:${port}`,
    `--unsafely-treat-insecure-origin-as-secure=${SITE}`,
  ],
});
try {
  for (const colorScheme of ['light', 'dark']) await takePicture(colorScheme);
} finally {
  await browser.close();
  await app.close();
  rmSync(folder, { recursive: true });
}

async function takePicture(colorScheme) {
  const [one, other] = await Promise.all([openDemo(colorScheme), openDemo(colorScheme)]);
  await one.getByRole('button', { name: 'Create an invite' }).click();
  await one.getByRole('heading', { name: 'Enter this code' }).waitFor();
  const code = (await one.locator('#invite-code').textContent()) ?? '';
  const invite = await one.screenshot();
  await other.getByLabel('Second device').fill(code);
  const join = await other.screenshot();
  await other.getByRole('button', { name: 'Join' }).click();
  await say(other, 'Hello from the phone');
  await say(one, 'Hello! Nothing of this passes through the server.');
  await other.getByText('Nothing of this passes').waitFor();
  await other.evaluate(() => scrollTo(0, 0));
  const chat = await other.screenshot();
  const path = `${FOLDER}demo-${colorScheme}.png`;
  await compose(colorScheme, path, [
    ['1. One device shows a code', invite],
    ['2. The other enters it', join],
    ['3. They talk peer to peer', chat],
  ]);
  console.log(`${path.replace(ROOT, '')}: ${Math.round(statSync(path).size / 1024)} kB`);
  await Promise.all([one.context().close(), other.context().close()]);
}

async function openDemo(colorScheme) {
  const context = await browser.newContext({ colorScheme, viewport: PHONE, deviceScaleFactor: 2 });
  const page = await context.newPage();
  await page.goto(`${SITE}/demo/`);
  return page;
}

async function say(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

/** Arranges screenshots side by side, each in the frame of a device and above its caption. */
async function compose(colorScheme, path, devices) {
  const page = await browser.newPage({ colorScheme, viewport: { width: 1000, height: 720 } });
  const figures = devices.map(
    ([caption, image]) =>
      `<figure><img src="data:image/png;base64,${image.toString('base64')}"><figcaption>${caption}</figcaption></figure>`,
  );
  await page.setContent(`<!doctype html><meta name="color-scheme" content="light dark"><style>
    body { margin: 0; padding: 16px; display: flex; justify-content: center; gap: 28px; font: 600 16px system-ui; }
    figure { margin: 0; text-align: center; color: light-dark(#1c2326, #e9edee); }
    img { display: block; width: 290px; border: 8px solid light-dark(#1c2326, #344045); border-radius: 26px; }
    figcaption { margin-top: 12px; }
  </style>${figures.join('')}`);
  const frame = await page.locator('body').boundingBox();
  await page.screenshot({ path, clip: frame ?? undefined, omitBackground: true });
  await page.close();
}
