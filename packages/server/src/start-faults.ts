// What goes wrong at a start, in words for the person at the terminal.
import { AddonFault, DatabaseRefused } from './pairing/sqlite/database.js';
import { ConfigError } from './settings/config.js';

/** The command line, or a file it reads, is at fault; the message is one line, no stack. */
export class UsageError extends Error {}

/** Lines for the terminal: one for each fault that its reader can mend, the stack of what is a bug. */
export function explain(error: unknown): string[] {
  if (error instanceof ConfigError) return [...error.faults];
  for (const kind of [DatabaseRefused, AddonFault, UsageError]) {
    if (error instanceof kind) return [error.message];
  }
  if (error instanceof ListenFault) return [reasonOf(error.cause)];
  return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
}

/** The server could not listen. Only then are codes such as ENOTFOUND about PORT and HOST: other calls fail with them too. */
export class ListenFault extends Error {
  constructor(cause: unknown) {
    super('the server cannot listen', { cause });
    this.name = 'ListenFault';
  }
}

function reasonOf(cause: unknown): string {
  const { code, port, address, hostname, message } = cause as {
    code?: string;
    port?: number;
    address?: string;
    hostname?: string;
    message?: string;
  };
  switch (code) {
    case 'EADDRINUSE':
      return `PORT: ${port} is already in use`;
    case 'EACCES':
      return `PORT: ${port} needs more rights than this process has`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST: ${address ?? hostname} is not an address of this machine`;
    default:
      return `HOST, PORT: cannot listen: ${message}`;
  }
}
