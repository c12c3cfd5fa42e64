// Tests transfers of difficult files: unreadable, empty, a folder, too large to store, or with a misleading name.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWith } from '@couplet/testkit/components';
import { expect, onTestFinished, test } from 'vitest';
import {
  inSession,
  makePlainInvite,
  meet,
  startSite,
  useBrowser,
  type Visitor,
  visit,
} from './support/visitor.js';

describeWith(['chromium'], 'a file', () => {
  useBrowser();

  async function twoAtFiles(): Promise<[Visitor, Visitor]> {
    const { url } = await startSite();
    const [host, guest] = await meet(url);
    await host.tab('Files').click();
    await guest.tab('Files').click();
    return [host, guest];
  }

  test.each([
    ['deleted', (path: string) => rmSync(path)],
    ['changed', (path: string) => writeFileSync(path, 'other text')],
  ])(
    'that is %s during the transfer fails on both sides, and the next one arrives',
    async (_, spoil) => {
      const [sender, receiver] = await twoAtFiles();
      const path = join(folder(), 'film.bin');
      writeFileSync(path, Buffer.alloc(300_000_000, 1));
      await sender.page.setInputFiles('#file-input', path);
      await receiver.button('Cancel film.bin').waitFor();
      spoil(path);
      await expectRow(sender, /^film\.bin\nThe file cannot be read\. 300 MB$/);
      await expectRow(receiver, /^film\.bin\nCanceled by the other device\. 300 MB$/);
      await sender.page.setInputFiles('#file-input', textFile('next.txt', 'next'));
      await expectRow(receiver, /^next\.txt\nSave\nReceived intact\./);
      await expectRow(sender, /^next\.txt\nArrived intact\./);
    },
  );

  test('that is deleted while it is queued is not offered', async () => {
    const [sender, receiver] = await twoAtFiles();
    const [first, second] = [join(folder(), 'film.bin'), join(folder(), 'gone.txt')];
    writeFileSync(first, Buffer.alloc(300_000_000, 1));
    writeFileSync(second, 'soon gone');
    await sender.page.setInputFiles('#file-input', [first, second]);
    await sender.button('Cancel gone.txt').waitFor();
    rmSync(second);
    await sender.button('Cancel film.bin').click();
    await expectRow(sender, /^gone\.txt\nThe file cannot be read\./);
    await sender.page.setInputFiles('#file-input', textFile('next.txt', 'next'));
    await expectRow(receiver, /^next\.txt\nSave\nReceived intact\./);
    expect(await receiver.page.locator('#transfers li').count()).toBe(2);
  });

  test('of zero bytes arrives; a folder dropped with it is refused with a message', async () => {
    const [sender, receiver] = await twoAtFiles();
    const dropped = folder();
    mkdirSync(join(dropped, 'photos'));
    writeFileSync(join(dropped, 'empty.txt'), '');
    await drop(sender, [join(dropped, 'photos'), join(dropped, 'empty.txt')]);
    await sender.page.getByText('A folder cannot be sent.').waitFor();
    await expectRow(sender, /^empty\.txt\nArrived intact\. 0 bytes/);
    await expectRow(receiver, /^empty\.txt\nSave\nReceived intact\. 0 bytes/);
    expect(await sender.page.locator('#transfers li').count()).toBe(1);
    expect(await receiver.page.locator('#transfers li').count()).toBe(1);
  });

  test('for which the receiver has no space fails on both sides', async () => {
    const [sender, receiver] = await twoAtFiles();
    await receiver.page.evaluate(() => {
      window.Blob = class {
        constructor() {
          throw new RangeError('Array buffer allocation failed');
        }
      } as unknown as typeof Blob;
    });
    await sender.page.setInputFiles('#file-input', textFile('film.bin', 'f'.repeat(9_000_000)));
    await expectRow(receiver, /^film\.bin\nStopped: this browser has no space for the file\./);
    await expectRow(sender, /^film\.bin\nToo large for the other device\./);
    expect([sender.complaints, receiver.complaints]).toEqual([[], []]);
  });

  test('is shown and saved intact, under a name that does not mislead, and both sides show its checksum', async () => {
    const [sender, receiver] = await twoAtFiles();
    const name = 'invoice\u202efdp.jpg\n.exe';
    // Not through the picker, because file systems refuse many such names.
    await sender.page.evaluate((name) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(['MZ'], name));
      const input = document.querySelector('#file-input') as HTMLInputElement;
      input.files = transfer.files;
      input.dispatchEvent(new Event('change'));
    }, name);
    await expectRow(sender, /^invoicefdp_jpg \.exe\nArrived intact\./);
    await expectRow(receiver, /^invoicefdp_jpg \.exe\nSave\nReceived intact\./);
    const download = receiver.page.waitForEvent('download');
    await receiver.page.getByRole('link', { name: 'Save invoicefdp_jpg .exe' }).click();
    expect((await download).suggestedFilename()).toBe('invoicefdp_jpg .exe');
    expect(await (await (await download).createReadStream()).toArray()).toEqual([
      Buffer.from('MZ'),
    ]);
    const checksum = `SHA-256 ${createHash('sha256').update('MZ').digest('hex')}, equal on both devices`;
    for (const { page } of [sender, receiver]) {
      await page.getByText('Verified').last().click();
      await page.getByText(checksum).waitFor();
      expect(await page.content()).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
    }
  });

  test('to or from an earlier version of the page fails with the reason', async () => {
    const { url } = await startSite();
    const host = await visit(url);
    const { code } = await makePlainInvite(host);
    // An application without the files of the client, which sends the first message of the earlier version.
    const { page } = await visit(url);
    // As text, because vitest would replace its import().
    const answer = page.evaluate(`(async () => {
      const { Couplet } = await import('/client.js');
      const session = await new Couplet({ url: location.origin }).accept('${code}');
      const offer = new TextEncoder().encode('{"name":"old.txt","size":1,"mediaType":""}');
      session.send(Uint8Array.of(0, 1, 2, 3, 4, ...offer));
      const message = await new Promise((resolve) => session.once('message', resolve));
      return [...new Uint8Array(message)];
    })()`);
    await inSession(host);
    expect(await answer).toEqual([5, 1, 2, 3, 4]);
    const reason = /The other device has an earlier version of this page\./;
    await host.page.getByText(reason).waitFor();
    await host.tab('Files').click();
    await host.page.setInputFiles('#file-input', textFile('new.txt', 'new'));
    await expectRow(host, reason);
    expect(host.complaints).toEqual([]);
  });
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'couplet-files-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const textFile = (name: string, text: string) => ({
  ...{ name, mimeType: 'text/plain', buffer: Buffer.from(text) },
});

/** The text of the newest row in the list. */
const expectRow = ({ page }: Visitor, text: RegExp) =>
  expect
    .poll(async () =>
      (await page.locator('#transfers li').first().innerText()).split(/\n+/).join('\n'),
    )
    .toMatch(text);

/** Drops files and folders from the disk on the page, like a file manager. */
async function drop({ page }: Visitor, files: string[]): Promise<void> {
  const session = await page.context().newCDPSession(page);
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    const data = { items: [], files, dragOperationsMask: 1 };
    await session.send('Input.dispatchDragEvent', { type, x: 200, y: 300, data });
  }
}
