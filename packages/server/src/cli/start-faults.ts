// Explains why the server did not start, for the terminal.
import { BindingFault, DatabaseRefused } from '../pairing/sqlite/database.js';
import { ConfigError } from '../settings/config.js';

/** A fault of the command line or of a file that it reads. The message is one line; no stack is shown. */
export class UsageError extends Error {}

/** Returns lines for the terminal: one for each fault that the user can correct, or the stack of a bug. */
export function explain(error: unknown): string[] {
  if (error instanceof ConfigError) return [...error.faults];
  for (const kind of [DatabaseRefused, BindingFault, UsageError]) {
    if (error instanceof kind) return [error.message];
  }
  return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
}

/** The server could not listen. Other calls also fail with codes such as ENOTFOUND; only here do they concern PORT and HOST. */
export const listenFault = (cause: unknown) => new UsageError(reasonOf(cause));

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
      return `PORT: this process has no permission to listen on ${port}`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST: ${address ?? hostname} is not an address of this machine`;
    default:
      return `HOST, PORT: cannot listen: ${message}`;
  }
}
