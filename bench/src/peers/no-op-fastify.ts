// A minimal Fastify server: parses a JSON body and returns a constant.
import { fastify } from 'fastify';
import { backlog, endWithConductor } from './http-peer.js';

const app = fastify();
const answer = { roomid: '0'.repeat(48) };
app.get('/', async () => ({}));
app.post('/no-op', async () => answer);

endWithConductor();
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: backlog() });
