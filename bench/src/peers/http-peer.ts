// Shared by all peer processes: port, backlog, and exit with the conductor.
import type { Server } from 'node:http';

/** Listens on PORT, with an accept queue of BACKLOG connections. */
export function listen(server: Server): void {
  server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: backlog() });
}

export const backlog = (): number => Number(process.env.BACKLOG ?? '511');

/** A peer ends with the process that started it. */
export function endWithConductor(): void {
  process.on('disconnect', () => process.exit(0));
}
