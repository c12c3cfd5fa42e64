// Tests the texts for errors, ICE servers, sizes, times and candidates.
import { CoupletError } from '@couplet/client';
import { REST_ERRORS } from '@couplet/protocol';
import { describe, expect, test } from 'vitest';
import { alarmOf } from '../src/alarm-view.js';
import { readable } from '../src/candidate.js';
import { inviteWordsFor, joinWordsFor, wordsFor } from '../src/error-words.js';
import { bytes, clock, duration, span } from '../src/format.js';
import type { ProbeResult } from '../src/ice-probe.js';
import { urlsOf } from '../src/ice-probe.js';
import { errorWords, findings } from '../src/ice-words.js';

describe('errors', () => {
  test.each(Object.keys(REST_ERRORS) as (keyof typeof REST_ERRORS)[])(
    '%s has a full sentence without its code',
    (code) => {
      expect(wordsFor(new CoupletError(code))).toMatch(/^[A-Z].*[.)]$/);
      expect(wordsFor(new CoupletError(code))).not.toContain(code);
    },
  );

  test('a rate-limited user is shown how long to wait', () => {
    const error = new CoupletError('rate_limited', undefined, undefined, 30);
    expect(wordsFor(error)).toContain('(Wait 30 seconds.)');
  });

  test.each([
    [2, '2 seconds'],
    [89.5, '90 seconds'],
    [90, '2 minutes'],
    [3600, '60 minutes'],
    [5400, '2 hours'],
  ])('%d seconds are %s', (seconds, words) => {
    expect(span(seconds)).toBe(words);
  });

  test('the device that created the code is not asked to check its digits', () => {
    expect(inviteWordsFor(new CoupletError('not_found_or_expired'))).toMatch(
      /^The code was not used/,
    );
    expect(inviteWordsFor(new CoupletError('conflict'))).toMatch(/^No code is available/);
    const other = new CoupletError('network');
    expect(inviteWordsFor(other)).toBe(wordsFor(other));
  });

  test('a code that was used before is no alarm', () => {
    expect(joinWordsFor(new CoupletError('code_mismatch'))).toMatch(/^This code has already been/);
  });

  test.each(['code_mismatch', 'unverified_peer', 'peer_changed', 'network'] as const)(
    '%s is an alarm, unless the network failed',
    (code) => {
      const alarm = code === 'network' ? undefined : code;
      expect(alarmOf(new CoupletError(code))).toBe(alarm);
    },
  );

  test('an error that is not from the client is a bug of the page', () => {
    expect(wordsFor(new TypeError('x is not a function'))).toBe(
      'Something went wrong on this page. Reload it.',
    );
  });
});

describe('the connection test', () => {
  const result = (url: string, outcome: ProbeResult['outcome'], errorCode?: number) => ({
    ...{ url, outcome, milliseconds: 10 },
    ...(errorCode === undefined ? {} : { errorCode }),
  });

  test('tests every URL of every server separately', () => {
    const servers = [
      { urls: 'stun:a' },
      { urls: ['turn:b', 'turns:b'], username: 'user', credential: 'secret' },
    ];
    expect(urlsOf(servers)).toEqual([
      { url: 'stun:a' },
      { url: 'turn:b', username: 'user', credential: 'secret' },
      { url: 'turns:b', username: 'user', credential: 'secret' },
    ]);
  });

  test.each([
    ['over TLS', [result('turns:a', 'works')]],
    ['no STUN server either', []],
    ['No relay answers', [result('turn:a', 'fails', 701)]],
    ['STUN works', [result('stun:a', 'works')]],
    ['STUN works', [result('stun:a', 'nothing-new')]],
    ['UDP seems to be blocked', [result('stun:a', 'fails', 701)]],
    [
      'UDP seems to be blocked',
      [result('turn:a', 'fails', 701), result('turn:a?transport=tcp', 'works')],
    ],
  ])('the summary is %j for %j', (text, results) => {
    expect(JSON.stringify(findings(results))).toContain(text);
  });

  test.each([300, 400, 403, 437, 438, 441, 442, 486, 500, 508, 701, 799, 418])(
    'error %i is explained, and the text contains the code',
    (code) => {
      expect(errorWords(code)).toMatch(new RegExp(`\\(${code}\\)`));
    },
  );
});

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [999, '999 bytes'],
  [1000, '1.0 kB'],
  [999_499, '999 kB'],
  [999_949, '1.0 MB'],
  [5_242_880, '5.2 MB'],
  [1_000_000_000, '1.0 GB'],
])('%i bytes are %s', (count, text) => {
  expect(bytes(count)).toBe(text);
});

test('times have a readable unit', () => {
  expect([clock(299_001), clock(59_000), clock(-5)]).toEqual(['5:00', '0:59', '0:00']);
  expect(duration(0)).toBe('under 1 ms');
  expect([duration(0.44), duration(12.3), duration(12_400)]).toEqual(['0.4 ms', '12 ms', '12 s']);
});

test.each([
  [
    'candidate:1 1 udp 2113937151 192.0.2.7 54400 typ host generation 0',
    { kind: 'own address', protocol: 'UDP', address: '192.0.2.7:54400' },
  ],
  [
    'candidate:2 1 tcp 1518280447 2001:db8:1111:2222:3333:4444:5555:6666 9 typ srflx raddr :: rport 0',
    { kind: 'address seen from outside', protocol: 'TCP', address: '[2001:db8:…55:6666]:9' },
  ],
  [
    'candidate:3 1 udp 1 0ad8ae26-ea0a-4a3a-8b4e-6c1e8e1f0f3c.local 5000 typ host',
    { kind: 'own address', protocol: 'UDP', address: '0ad8ae26….local:5000' },
  ],
  [
    'candidate:4 1 udp 1 redacted-ip.invalid 5000 typ prflx',
    { kind: 'address seen by the other side', protocol: 'UDP', address: '(hidden):5000' },
  ],
  ['', undefined],
  ['nonsense', undefined],
])('the candidate %j is readable', (line, shown) => {
  expect(readable(line)).toEqual(shown);
});
