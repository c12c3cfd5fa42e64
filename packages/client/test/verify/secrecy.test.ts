// The server never gets a secret of a verified pairing: runs pairings by code and by link at a real server, and searches all that was
// sent, the log, the metrics and the database.
import { hkdfSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverForTest, temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { captureLog } from '../../../server/test/support/captured-log.js';
import { bytesOf } from '../../src/base64url.js';
import { Couplet, exchangeKeys, type Invite } from '../../src/index.js';
import { RTCPeerConnection } from '../support/fake-device.js';

/** Everything in which a secret could be found, as texts in which each byte is one character. */
const texts: string[] = [];
const keep = (...parts: unknown[]) => texts.push(Buffer.from(parts.join('\n')).toString('latin1'));

class TappedSocket extends WebSocket {
  constructor(url: string, protocols: string[] = []) {
    super(url, protocols);
    keep(url, ...protocols);
    this.on('message', (data) => keep(data));
  }

  override send(data: string): void {
    keep(data);
    super.send(data);
  }
}

const tappedFetch: typeof fetch = async (input, init) => {
  keep(input, JSON.stringify({ ...init, body: '' }), init?.body);
  const answer = await fetch(input, init);
  const body = await answer.clone().text();
  keep(JSON.stringify([...answer.headers]), body);
  return answer;
};

/** The forms in which bytes could be written down. */
function formsOf(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes);
  const hex = buffer.toString('hex');
  return [
    ...[buffer.toString('latin1'), hex, hex.toUpperCase(), [...bytes].join()],
    // Without the last characters, which depend on what follows.
    ...[buffer.toString('base64').slice(0, 20), buffer.toString('base64url').slice(0, 20)],
  ];
}

const keysOf = (saved = ''): Uint8Array[] => {
  const key = bytesOf(saved.slice(2));
  const macKey = (role: string) =>
    new Uint8Array(hkdfSync('sha512', key, '', `couplet-cpace1 ${role}`, 64));
  return [key, macKey('a'), macKey('b')];
};

/** What of an invite must not be found. Digits count only if they are not part of a longer number or of a random id. */
function secretsOf({ code, link }: Invite, saved: string | undefined): (string | RegExp)[] {
  const [, secret = ''] = link?.('').split('.') ?? [];
  const digits = [code.slice(6), code.slice(6, 11)].map(
    (each) => new RegExp(`(?<![\\da-f])${each}(?![\\da-f])`, 'i'),
  );
  const grouped = new RegExp(code.replace(/(\d{4})(?=\d)/g, '$1[ -]?'));
  return [...digits, grouped, ...[bytesOf(secret), ...keysOf(saved)].flatMap(formsOf)];
}

const found = (secrets: readonly (string | RegExp)[], all: readonly string[] = texts) =>
  secrets.filter((secret) =>
    all.some((text) => (typeof secret === 'string' ? text.includes(secret) : secret.test(text))),
  );

test('no secret is in a request, a message, the log, the metrics or the database', async () => {
  const folder = temporaryFolder();
  const { log, text } = captureLog();
  const env = { LOG_LEVEL: 'debug', SQLITE_DB_PATH: join(folder, 'couplet.db') };
  const server = await serverForTest(env, { log });
  const keepFiles = () => {
    for (const name of readdirSync(folder)) texts.push(readFileSync(join(folder, name), 'latin1'));
  };
  const device = () =>
    new Couplet({
      ...{ url: server.url, RTCPeerConnection },
      ...{ fetch: tappedFetch, WebSocket: TappedSocket },
    });
  const secrets: (string | RegExp)[] = [];
  /** What the devices themselves have. */
  const own: string[] = [];
  for (const by of ['code', 'link'] as const) {
    const [inviting, accepting] = [device(), device()];
    let invite = await inviting.invite({ verify: true });
    // No other number in this test begins with 0, so that nothing is found by chance.
    while (invite.code[6] !== '0') {
      invite.cancel();
      invite = await inviting.invite({ verify: true });
    }
    const link = invite.link?.('https://app.example/join?x=1#old') ?? '';
    expect(link).toMatch(/^https:\/\/app\.example\/join\?x=1#\d{6}\.[\w-]{22}$/);
    const shown = by === 'code' ? invite.code : link;
    const guest = await accepting.accept(shown);
    const host = await invite.accepted;
    expect([host.trust, guest.trust]).toEqual(['code', 'code']);
    for (const session of [host, guest]) onTestFinished(() => session.close());
    host.restartIce();
    await Promise.all([exchangeKeys(host), exchangeKeys(guest)]);
    const saved = [host.save(), guest.save()] as const;
    secrets.push(...secretsOf(invite, saved[0].key));
    own.push(`code ${invite.code}, ${invite.code.slice(6)}`, JSON.stringify([shown, saved]));
    expect(saved.map(({ key }) => key?.slice(2))).toEqual(Array(2).fill(saved[0].key?.slice(2)));
    host.close();
    guest.close();
    const again = [inviting.resume(saved[0]), accepting.resume(saved[1])];
    for (const session of await Promise.all(again)) onTestFinished(() => session.close());
    // What the server does get is found: the join code, and the shares.
    expect(found([new RegExp(`"joinid":"${invite.code.slice(0, 6)}"`)])).toHaveLength(1);
    expect(found([/couplet-cpace1:share:/, /couplet-cpace1:confirm:/, /"mac":"/])).toHaveLength(3);
    await device()
      .accept(invite.code)
      .catch(() => {});
  }
  keep(await (await fetch(`${server.url}/metrics`)).text());
  keepFiles();
  await server.close();
  keepFiles();
  keep(text());
  expect(found([/couplet_/, /room joined/, /"level":/])).toHaveLength(3);
  expect(found(secrets)).toEqual([]);
  // The search works: it finds both codes, the link and both keys where they are.
  expect(found(secrets, own).length).toBeGreaterThanOrEqual(6);
});
