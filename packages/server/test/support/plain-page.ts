// Devices with proof/client.js: a client that uses nothing of ours, only the documented interface of a server.
import { readFileSync } from 'node:fs';
import { type Device, openDevice, servePage } from '@couplet/testkit/browser';
import type { Browser } from 'playwright-core';

const read = (name: string) => readFileSync(new URL(`../proof/${name}`, import.meta.url));
const SCRIPTS: Record<string, Buffer> = {
  '/client.js': read('client.js'),
  '/plain-page.js': read('plain-page.js'),
};
const PAGE = '<!doctype html><script type="module" src="/plain-page.js"></script>';

/** Serves the page on another origin than that of any server. */
export const plainSite = () => servePage(PAGE, SCRIPTS);

/** Opens the page on the origin of a server. The browser gets the files from the test. */
export const openPlainPage = (browser: Browser | undefined, server: string): Promise<Device> =>
  openDevice(browser, `${server}/plain`, {
    prepare: (context) =>
      context.route(
        ({ pathname }) => pathname === '/plain' || pathname in SCRIPTS,
        (route) => {
          const script = SCRIPTS[new URL(route.request().url()).pathname];
          const contentType = script === undefined ? 'text/html' : 'text/javascript';
          return route.fulfill({ body: script ?? PAGE, contentType });
        },
      ),
  });

/** Calls a function of plain-page.js in the page. */
export const plain = <Result = void>({ page }: Device, name: string, ...args: string[]) =>
  page.evaluate(`plain.${name}(...${JSON.stringify(args)})`) as Promise<Result>;

/** Pairs two devices by a code, and lets both enter their room. */
export async function pairPlain(server: string, host: Device, guest: Device): Promise<void> {
  const code = await plain<string>(host, 'makeCode', server, host.id);
  const [roomId] = await Promise.all([
    plain<string>(host, 'waitForGuest', server, code, host.id),
    plain(guest, 'enterCode', server, code, guest.id),
  ]);
  for (const device of [host, guest]) await plain(device, 'enterRoom', server, roomId, device.id);
}
