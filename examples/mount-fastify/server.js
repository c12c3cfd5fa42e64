// Mounts Couplet under /couplet of a Fastify application, on one port and in one process.
import { buildApp, mount, parseConfig } from '@couplet/server';
import Fastify from 'fastify';

/** Starts the application and Couplet on one port. */
export async function start(port, env = process.env) {
  const app = Fastify();

  const couplet = await buildApp(parseConfig({ USE_SQLITE: '1', ...env }));
  const middleware = await mount(couplet, app.server, '/couplet');
  app.addHook('onRequest', ({ raw }, reply, done) => middleware(raw, reply.raw, done));
  // Closes all sockets with a code for reconnecting, and closes the database.
  app.addHook('preClose', () => couplet.close());

  app.get('/', () => 'an application of its own');

  await app.listen({ port });
  return { port: app.server.address().port, close: () => app.close() };
}
