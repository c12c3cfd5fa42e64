// Tests reading the path and the round-trip time from statistics.
import { expect, test } from 'vitest';
import { pathOf, roundTripTimeMsOf } from '../../src/session/path.js';

const stats = (local: string, remote: string, more: object[] = []) => {
  const entries = [
    { id: 'L', type: 'local-candidate', candidateType: local },
    { id: 'R', type: 'remote-candidate', candidateType: remote },
    ...more,
  ];
  return new Map(entries.map((entry) => [(entry as { id: string }).id, entry])) as RTCStatsReport;
};
const pair = { id: 'P', type: 'candidate-pair', localCandidateId: 'L', remoteCandidateId: 'R' };
const transport = { id: 'T', type: 'transport', selectedCandidatePairId: 'P' };

test.each([
  ['host', 'host', 'host'],
  ['host', 'srflx', 'srflx'],
  ['prflx', 'host', 'srflx'],
  ['relay', 'srflx', 'relay'],
  ['host', 'relay', 'relay'],
])('from %s to %s the path is %s', (local, remote, path) => {
  expect(pathOf(stats(local, remote, [pair, transport]))).toBe(path);
});

test('without a transport in the statistics, the nominated pair that succeeded is used', () => {
  const nominated = { ...pair, nominated: true, state: 'succeeded' };
  expect(pathOf(stats('host', 'host', [nominated]))).toBe('host');
});

test('there is no path without a selected pair, and unknown candidates do not count as host', () => {
  expect(pathOf(stats('host', 'host', [pair]))).toBeUndefined();
  const blind = { id: 'P', type: 'candidate-pair' };
  expect(pathOf(stats('host', 'host', [blind, transport]))).toBe('srflx');
});

test('the round-trip time is that of the selected pair, if measured', () => {
  const measured = { ...pair, currentRoundTripTime: 0.25 };
  expect(roundTripTimeMsOf(stats('host', 'host', [measured, transport]))).toBe(250);
  expect(roundTripTimeMsOf(stats('host', 'host', [pair, transport]))).toBeUndefined();
  expect(roundTripTimeMsOf(stats('host', 'host'))).toBeUndefined();
});
