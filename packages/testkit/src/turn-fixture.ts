// Starts a coturn for tests, and provides credentials for it and clients that are closed after the test.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { TurnClient } from '../../doctor/src/turn-client.js';
import type { TurnServerAddress } from '../../doctor/src/turn-transport.js';
import { opaqueUserId, turnCredentials } from '../../server/src/turn/credentials.js';
import { type Coturn, type CoturnOptions, startCoturn, TURN_FOLDER } from './coturn.js';

export const SECRET = 'the-secret-of-this-month';
export const OLD_SECRET = 'the-secret-of-last-month';

export const nowSeconds = () => Math.floor(Date.now() / 1000);
export const someUser = () => opaqueUserId(SECRET, randomUUID(), 'device');
export const minted = (secret = SECRET, userId = someUser(), expiresAt = nowSeconds() + 3600) =>
  turnCredentials(secret, userId, expiresAt);

/** Starts a coturn for this test. */
export async function coturn(options: CoturnOptions = {}): Promise<Coturn> {
  const env = { TURN_SECRET: SECRET, ...options.env };
  const server = await startCoturn({ ...options, env });
  onTestFinished(() => server.stop());
  return server;
}

export async function connect(
  server: Partial<TurnServerAddress> & { port: number },
  credentials?: { username: string; credential: string },
): Promise<TurnClient> {
  const address = { transport: 'udp', host: '127.0.0.1', ...server } as const;
  const client = await TurnClient.connect(address, credentials);
  onTestFinished(() => client.close());
  return client;
}

const shipped = readFileSync(join(TURN_FOLDER, 'turnserver.conf'), 'utf8');
/** A number in the shipped turnserver.conf. */
export const shippedNumber = (key: string) =>
  Number(new RegExp(`^${key}=(\\d+)$`, 'm').exec(shipped)?.[1]);
