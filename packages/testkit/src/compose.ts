// Reads the services of a compose file of this repository: `extends` is resolved, variables are left as they are.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface Service {
  environment: Record<string, string>;
  profiles?: string[];
  ports?: unknown[];
  volumes?: string[];
  [key: string]: unknown;
}

/** Merges a service into the one that it extends: mappings and lists are joined, other values replaced. */
export function composeServices(file: string): Record<string, Service> {
  const { services } = parse(readFileSync(ROOT + file, 'utf8'), { merge: true });
  for (const [name, service] of Object.entries<Record<string, unknown>>(services)) {
    const { extends: base, ...own } = service;
    if (base === undefined) continue;
    const { file: from, service: of } = base as { file: string; service: string };
    services[name] = joined(composeServices(from)[of] ?? {}, own);
  }
  return services;
}

function joined(base: Record<string, unknown>, own: Record<string, unknown>) {
  const result = { ...base };
  for (const [key, value] of Object.entries(own)) {
    const before = result[key];
    if (Array.isArray(before) && Array.isArray(value)) result[key] = [...before, ...value];
    else if (isMapping(before) && isMapping(value)) result[key] = { ...before, ...value };
    else result[key] = value;
  }
  return result;
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
