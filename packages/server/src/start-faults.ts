// What goes wrong at a start, in words for the person at the terminal.
import { AddonFault, DatabaseRefused } from './pairing/database.js';
import { ConfigError } from './platform/config.js';

/** The command line, or a file it reads, is at fault; the message is one line, no stack. */
export class UsageError extends Error {}

/** Lines for the terminal: one for each fault that its reader can mend, the stack of what is a bug. */
export function explain(error: unknown): string[] {
  if (error instanceof ConfigError) return [...error.faults];
  for (const kind of [DatabaseRefused, AddonFault, UsageError]) {
    if (error instanceof kind) return [error.message];
  }
  if (!(error instanceof Error)) return [String(error)];
  const { code, port, address, hostname } = error as {
    code?: string;
    port?: number;
    address?: string;
    hostname?: string;
  };
  switch (code) {
    case 'EADDRINUSE':
      return [`PORT: ${port} is already in use`];
    case 'EACCES':
      return [`PORT: ${port} needs more rights than this process has`];
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return [`HOST: ${address ?? hostname} is not an address of this machine`];
    default:
      return [error.stack ?? error.message];
  }
}
