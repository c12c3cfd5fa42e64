// A complete run on a small scale, with real servers and the real generator, and no judgment of speed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { run } from '../../test/support.js';
import type { Row, ServerName } from '../src/figures/row.js';

test('npm run bench measures forwarding and pairing of all servers without an error', () => {
  const out = temporaryFolder();
  run(process.execPath, [
    'scripts/bench.js',
    'bench',
    'forward',
    'pairing',
    '--short',
    '--out',
    out,
  ]);
  const { forward, pairing } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
  const rows: Row[] = [...forward.rows, ...pairing.rows];
  const servers = (id: string) => {
    const figures = rows.find((row) => row.id === id)?.figures ?? {};
    return Object.keys(figures).sort() as ServerName[];
  };
  expect(servers('forward/100/candidate/1')).toEqual(['bare', 'corked', 'couplet', 'peerjs']);
  expect(servers('pairing/1/requests')).toEqual(['couplet', 'fastify']);
  for (const { id, figures } of rows) {
    for (const figure of Object.values(figures)) {
      expect(figure.errors, id).toBe(0);
      expect(Math.min(...figure.rounds), id).toBeGreaterThan(0);
    }
  }
  const [version] = readFileSync(join(out, 'results.json'), 'utf8').match(/"node": "[^"]+"/) ?? [];
  expect(version).toBe(`"node": "${process.versions.node}"`);
});

test('an unknown scenario is refused, with the names of the existing ones', () => {
  expect(() => run(process.execPath, ['scripts/bench.js', 'bench', 'nonsense'])).toThrow(
    /no scenario nonsense; there are: .*forward/,
  );
});
