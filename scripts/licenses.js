// npm run licenses: lists the production packages with version and license. Fails if a license is not accepted.
import { existsSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { ROOT } from './prepare.js';
import { table } from './tables.js';

/** Licenses (SPDX) that only require their notice to be kept. */
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
 * Whether an SPDX expression can be satisfied with accepted licenses only.
 *
 * @param {string} expression
 */
export function isAccepted(expression) {
  const inner = expression.trim().replace(/^\((.*)\)$/, '$1');
  if (/[()]/.test(inner)) return false;
  return inner
    .split(/ OR /i)
    .some((choice) => choice.split(/ AND /i).every((license) => ACCEPTED.has(license.trim())));
}

/**
 * Returns the third-party packages of the lockfile, except development dependencies.
 *
 * @returns {{ name: string, version: string, license: string }[]}
 */
export function productionPackages(root = ROOT) {
  const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8'));
  return Object.entries(packages)
    .filter(([path, entry]) => path.includes('node_modules/') && !entry.link)
    .filter(([, entry]) => !entry.dev && !entry.devOptional)
    .map(([path, entry]) => ({
      name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: entry.version,
      license: installedLicence(`${root}${path}/package.json`) ?? entry.license ?? 'unknown',
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The license in the package's own manifest, which the lockfile may lack. Packages for other platforms are not installed. */
function installedLicence(manifest) {
  if (!existsSync(manifest)) return undefined;
  const { license, licenses } = JSON.parse(readFileSync(manifest, 'utf8'));
  if (typeof license === 'string') return license;
  return license?.type ?? licenses?.map(({ type }) => type).join(' OR ');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const packages = productionPackages();
  const rows = packages.map(({ name, version, license }) => [name, version, license]);
  console.log(table(['package', 'version', 'license'], rows));
  const refused = packages.filter(({ license }) => !isAccepted(license));
  for (const { name, license } of refused) console.error(`not accepted: ${name} (${license})`);
  process.exitCode = refused.length > 0 ? 1 : 0;
}
