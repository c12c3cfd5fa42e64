// npm run licenses: every package that a server in production loads, with version and licence; fails on one we do not accept.
import { existsSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { ROOT } from './prepare.js';
import { table } from './tables.js';

/** Licences (SPDX) that ask for no more than to keep their notice. */
export const ACCEPTED = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Unlicense',
]);

/**
 * Whether an SPDX expression lets us choose accepted licences only.
 *
 * @param {string} expression
 */
export function isAccepted(expression) {
  const inner = expression.trim().replace(/^\((.*)\)$/, '$1');
  if (/[()]/.test(inner)) return false;
  return inner
    .split(/ OR /i)
    .some((choice) => choice.split(/ AND /i).every((licence) => ACCEPTED.has(licence.trim())));
}

/**
 * The packages of the lockfile that are not for development only, without our own.
 *
 * @returns {{ name: string, version: string, licence: string }[]}
 */
export function productionPackages(root = ROOT) {
  const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'));
  return Object.entries(packages)
    .filter(([path, entry]) => path.includes('node_modules/') && !entry.link)
    .filter(([, entry]) => !entry.dev && !entry.devOptional)
    .map(([path, entry]) => ({
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: entry.version,
      licence: installedLicence(`${root}${path}/package.json`) ?? entry.license ?? 'unknown',
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What the package itself says; the lockfile may know less. A package for another platform is not installed. */
function installedLicence(manifest) {
  if (!existsSync(manifest)) return undefined;
  const { license, licenses } = JSON.parse(readFileSync(manifest, 'utf8'));
  if (typeof license === 'string') return license;
  return license?.type ?? licenses?.map(({ type }) => type).join(' OR ');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const packages = productionPackages();
  const rows = packages.map(({ name, version, licence }) => [name, version, licence]);
  console.log(table(['package', 'version', 'licence'], rows));
  const refused = packages.filter(({ licence }) => !isAccepted(licence));
  for (const { name, licence } of refused) console.error(`not accepted: ${name} (${licence})`);
  process.exitCode = refused.length > 0 ? 1 : 0;
}
