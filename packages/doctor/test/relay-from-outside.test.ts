// The packet from outside, where coturn on loopback cannot be brought to fail: firewalls, NAT, and networks without UDP.
import { expect, test } from 'vitest';
import { freePort } from '../../server/test/support/coturn.js';
import { type Finding, runCheck } from '../src/check.js';
import { relayFromOutsideCheck } from '../src/checks/relay-from-outside.js';
import { IceTarget } from '../src/ice-target.js';
import { TurnError } from '../src/turn-client.js';
import { failure } from './examination.js';

const server = { host: 'turn.example.org', port: 3478 };

/** A TURN client out of whose allocation nothing comes; `permission` is what asking for one gives. */
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
}): Promise<Finding> {
  const { relayedIp, ip, udp = 'unknown', permission = async () => {} } = options;
  const url = { kind: 'turn', transport: 'udp', server } as const;
  const target = new IceTarget('turn:turn.example.org', url, { urls: [] }, undefined);
  const relayed = { ip: relayedIp, port: await freePort() };
  target.ip = ip;
  target.udp = udp;
  target.allocation = { relayed, mapped: { ip: '127.0.0.1', port: 1 }, lifetimeSeconds: 600 };
  Object.defineProperty(target, 'client', { value: deafClient(permission) });
  const stop = new AbortController().signal;
  return runCheck(relayFromOutsideCheck, target, { limitMs: 100, stop });
}

const forbidden = () => Promise.reject(new TurnError({ code: 403, reason: '' }));

test('a packet that does not arrive at the right address: the relay ports are closed', async () => {
  const found = await finding({ relayedIp: '127.0.0.1', ip: '127.0.0.1' });
  expect(found).toMatchObject(failure(/^no packet reaches 127\.0\.0\.1:/, /Open the relay ports/));
});

test('the same where no UDP leaves this network says nothing about the relay', async () => {
  const found = await finding({ relayedIp: '127.0.0.1', ip: '127.0.0.1', udp: 'fails' });
  expect(found).toMatchObject({ status: 'not_applicable' });
});

test('a private relayed address of a public server is wrong without a packet', async () => {
  const found = await finding({ relayedIp: '10.0.0.4', ip: '198.51.100.7' });
  expect(found).toMatchObject(
    failure(/10\.0\.0\.4 does not lead to coturn.*198\.51\.100\.7/, /198\.51\.100\.7\/PRIVATE/),
  );
});

test('where this machine may not be a peer, the addresses are compared', async () => {
  const permission = forbidden;
  const wrong = await finding({ relayedIp: '203.0.113.9', ip: '198.51.100.7', permission });
  expect(wrong).toMatchObject(failure(/203\.0\.113\.9 does not lead/, /TURN_EXTERNAL_IP/));
  const right = await finding({ relayedIp: '198.51.100.7', ip: '198.51.100.7', permission });
  expect(right).toMatchObject({ status: 'not_applicable' });
});
