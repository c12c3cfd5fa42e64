// Starts the example: JWT_SECRET=… node examples/embed-jwt/main.js
import { buildServer } from './server.js';

const { JWT_SECRET = '', PORT = '8080' } = process.env;
if (JWT_SECRET.length < 32) throw new Error('JWT_SECRET: at least 32 characters');
const app = await buildServer(new TextEncoder().encode(JWT_SECRET));
process.stdout.write(`listening on ${await app.listen({ port: Number(PORT) })}\n`);
