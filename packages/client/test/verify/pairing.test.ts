// Tests verified pairings of two devices at a real server, on fake peer connections.
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { exchangeKeys, type PeerSession } from '../../src/index.js';
import { secretsFor } from '../../src/verify/code.js';
import { devicesOf } from '../support/fake-device.js';

const server = await startServer();
afterAll(() => server.close());
const device = devicesOf(server);

/** Closes the sessions at the end of the test. */
function closing<Sessions extends PeerSession[]>(...sessions: Sessions): Sessions {
  onTestFinished(() => {
    for (const session of sessions) session.close();
  });
  return sessions;
}

test('a wrong digit, and two exchanged digits, are found before any request', async () => {
  const invite = await device().invite({ verify: true });
  onTestFinished(() => invite.cancel());
  const { code } = invite;
  const silent = device({ fetch: () => Promise.reject(new Error('a request was sent')) });
  const wrong = new Set<string>();
  for (let at = 0; at < code.length; at++) {
    for (let digit = 0; digit < 10; digit++) {
      wrong.add(code.slice(0, at) + digit + code.slice(at + 1));
    }
    const [one = '', other = ''] = code.slice(at, at + 2);
    wrong.add(code.slice(0, at) + other + one + code.slice(at + 2));
  }
  wrong.delete(code);
  for (const each of wrong) {
    await expect(silent.accept(each), each).rejects.toMatchObject({ code: 'code_mistyped' });
  }
});

test('a comparison verifies a pairing for good: a peer that did not confirm is refused later', async () => {
  for (const both of [true, false]) {
    const [inviting, accepting] = [device(), device()];
    const invite = await inviting.invite();
    const guest = await accepting.accept(invite.code);
    const [host] = closing(await invite.accepted, guest);
    const [own, theirs] = await Promise.all([exchangeKeys(host), exchangeKeys(guest)]);
    own.confirm();
    if (both) theirs.confirm();
    expect([host.trust, guest.trust]).toEqual(['compared', both ? 'compared' : 'none']);
    const saved = [host.save(), guest.save()] as const;
    host.close();
    guest.close();
    const resumed = [inviting.resume(saved[0]), accepting.resume(saved[1])] as const;
    if (both) {
      const sessions = closing(...(await Promise.all(resumed)));
      expect(sessions.map(({ trust }) => trust)).toEqual(['saved', 'saved']);
    } else {
      resumed[1].then(closing, () => {});
      await expect(resumed[0]).rejects.toMatchObject({ code: 'unverified_peer' });
    }
  }
});

test('a pairing that was saved before its verification cannot be resumed', async () => {
  const [inviting, accepting] = [device(), device()];
  const invite = await inviting.invite({ verify: true });
  let early: ReturnType<PeerSession['save']> | undefined;
  const guest = await accepting.accept(invite.code, {
    onSession: (session) => {
      early = session.save();
    },
  });
  closing(await invite.accepted, guest);
  expect(early?.key).toBe('');
  await expect(accepting.resume(early as never)).rejects.toMatchObject({ code: 'unverified_peer' });
});

test('another code ends both ends, and a code is used once', async () => {
  const [inviting, accepting] = [device(), device()];
  const invite = await inviting.invite({ verify: true });
  const ended = expect(invite.accepted).rejects.toMatchObject({ code: 'code_mismatch' });
  let guess = invite.code;
  while (guess === invite.code) guess = secretsFor(invite.code.slice(0, 6)).code;
  await expect(accepting.accept(guess)).rejects.toMatchObject({ code: 'code_mismatch' });
  await ended;
  await expect(accepting.accept(guess)).rejects.toMatchObject({
    code: 'code_mismatch',
    message: 'This code was used. Ask for a new one.',
  });
});

test('a platform without X25519 is refused before any request', async () => {
  const generateKey = vi.spyOn(crypto.subtle, 'generateKey');
  onTestFinished(() => generateKey.mockRestore());
  generateKey.mockRejectedValue(new DOMException('', 'NotSupportedError'));
  const silent = device({ fetch: () => Promise.reject(new Error('a request was sent')) });
  const link = `042137.${'a'.repeat(22)}`;
  for (const call of [silent.invite({ verify: true }), silent.accept(link)]) {
    await expect(call).rejects.toMatchObject({ code: 'unsupported' });
  }
});
