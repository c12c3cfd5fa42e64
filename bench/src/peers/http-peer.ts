// What every peer process shares: its port, its backlog, and its end with the conductor.
import type { Server } from 'node:http';

/** Listens where the environment says: PORT, and BACKLOG connections that may wait to be taken. */
export function listen(server: Server): void {
  server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: backlog() });
}

export const backlog = (): number => Number(process.env.BACKLOG ?? '511');

/** A peer is nothing without the process that started it. */
export function endWithConductor(): void {
  process.on('disconnect', () => process.exit(0));
}
