// Mounts Couplet under /couplet of an Express application, on one port and in one process.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { buildApp, mount, parseConfig } from '@couplet/server';
import express from 'express';

/** Starts the application and Couplet on one port. */
export async function start(port, env = process.env) {
  const app = express();
  const server = createServer(app);

  const couplet = await buildApp(parseConfig({ USE_SQLITE: '1', ...env }));
  // Must come before middleware that reads bodies.
  app.use(await mount(couplet, server, '/couplet'));

  app.use(express.json());
  app.get('/', (_request, response) => response.send('an application of its own'));

  server.listen(port);
  await once(server, 'listening');
  const close = async () => {
    server.close();
    // Closes all sockets with a code for reconnecting, and closes the database.
    await couplet.close();
  };
  return { port: server.address().port, close };
}
