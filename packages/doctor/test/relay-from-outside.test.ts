// Tests faults of the packet from outside that a loopback coturn cannot have: firewalls, NAT, networks without UDP.
import { freePort } from '@couplet/testkit/coturn';
import { expect, test } from 'vitest';
import { type Finding, runCheck } from '../src/check.js';
import { relayFromOutsideCheck } from '../src/checks/relay-from-outside.js';
import { IceTarget } from '../src/ice-target.js';
import { TurnError } from '../src/turn-client.js';
import { failure } from './examination.js';

const server = { host: 'turn.example.org', port: 3478 };

/** A TURN client whose allocation receives nothing. `permission` is the result of a permission request. */
const deafClient = (permission: () => Promise<void>) => ({
  createPermission: permission,
  send: () => {},
  receive: () => new Promise<never>(() => {}),
});

async function finding(options: {
  relayedIp: string;
  ip: string;
  udp?: IceTarget['udp'];
  permission?: () => Promise<void>;
  username?: string;
}): Promise<Finding> {
  const { relayedIp, ip, udp = 'unknown', permission = async () => {} } = options;
  const { username = '4102444800:AAECAwQFBgcICQoLDA0ODw' } = options;
  const url = { kind: 'turn', transport: 'udp', server } as const;
  const target = new IceTarget(
    'turn:turn.example.org',
    url,
    { urls: [], username, credential: 'x' },
    undefined,
  );
  const relayed = { ip: relayedIp, port: await freePort() };
  target.ip = ip;
  target.udp = udp;
  target.allocation = { relayed, mapped: { ip: '127.0.0.1', port: 1 }, lifetimeSeconds: 600 };
  Object.defineProperty(target, 'client', { value: deafClient(permission) });
  const stop = new AbortController().signal;
  return runCheck(relayFromOutsideCheck, target, { limitMs: 100, stop });
}

const forbidden = () => Promise.reject(new TurnError({ code: 403, reason: '' }));

test('a packet that does not arrive at the right address means closed relay ports', async () => {
  const found = await finding({ relayedIp: '127.0.0.1', ip: '127.0.0.1' });
  expect(found).toMatchObject(failure(/^no packet reaches 127\.0\.0\.1:/, /Open the relay ports/));
});

test('without UDP in this network, the check is not applicable', async () => {
  const found = await finding({ relayedIp: '127.0.0.1', ip: '127.0.0.1', udp: 'fails' });
  expect(found).toMatchObject({ status: 'not_applicable' });
});

test('a private relayed address of a public server is wrong even without a packet', async () => {
  const found = await finding({ relayedIp: '10.0.0.4', ip: '198.51.100.7' });
  expect(found).toMatchObject(
    failure(/10\.0\.0\.4 does not lead to coturn.*198\.51\.100\.7/, /198\.51\.100\.7\/PRIVATE/),
  );
});

test('a provider may relay from another address than the one of its URL', async () => {
  const other = { relayedIp: '127.0.0.2', ip: '127.0.0.1', username: 'of-a-provider' };
  const lost = await finding(other);
  expect(lost).toMatchObject(failure(/^no packet reaches 127\.0\.0\.2:/, /Open the relay ports/));
  const addresses = { relayedIp: '203.0.113.9', ip: '198.51.100.7' };
  const unknown = await finding({ ...other, ...addresses, permission: forbidden });
  expect(unknown).toMatchObject({ status: 'not_applicable' });
});

test('if this machine is not allowed as a peer, the addresses are compared', async () => {
  const permission = forbidden;
  const wrong = await finding({ relayedIp: '203.0.113.9', ip: '198.51.100.7', permission });
  expect(wrong).toMatchObject(failure(/203\.0\.113\.9 does not lead/, /TURN_EXTERNAL_IP/));
  const right = await finding({ relayedIp: '198.51.100.7', ip: '198.51.100.7', permission });
  expect(right).toMatchObject({ status: 'not_applicable' });
});
