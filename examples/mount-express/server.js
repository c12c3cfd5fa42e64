// Couplet inside an Express application: one port, one process, everything of Couplet below /couplet.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { buildApp, mount, parseConfig } from '@couplet/server';
import express from 'express';

/** Starts both on one port. */
export async function start(port, env = process.env) {
  const app = express();
  const server = createServer(app);

  const couplet = await buildApp(parseConfig({ USE_SQLITE: '1', ...env }));
  // First of all: what reads bodies comes after it.
  app.use(await mount(couplet, server, '/couplet'));

  app.use(express.json());
  app.get('/', (_request, response) => response.send('an application of its own'));

  server.listen(port);
  await once(server, 'listening');
  const close = async () => {
    server.close();
    // Tells every peer to come back later, and closes the database.
    await couplet.close();
  };
  return { port: server.address().port, close };
}
