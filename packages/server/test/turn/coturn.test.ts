// The real coturn, started with turn-server/turnserver.conf, and credentials of the server (docs/turn.md).
import { connect as connectTcp } from 'node:net';
import { makeCertificate } from '@couplet/testkit/certificate';
import { describeWith } from '@couplet/testkit/components';
import { freePort } from '@couplet/testkit/coturn';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { temporaryFolder } from '@couplet/testkit/server';
import {
  connect,
  coturn,
  minted,
  nowSeconds,
  OLD_SECRET,
  SECRET,
  shippedNumber,
  someUser,
} from '@couplet/testkit/turn-fixture';
import { expect, test } from 'vitest';
import { parseConfig } from '../../src/settings/config.js';
import { createIceServers } from '../../src/turn/ice-servers.js';

describeWith(['turnserver', 'openssl'], 'coturn', () => {
  const folder = temporaryFolder();
  test('allocates with valid credentials over UDP, TCP and TLS, on a port of its range', async () => {
    const { cert, key, ca } = makeCertificate(folder, { name: 'turn.example.org' });
    const server = await coturn({ env: { TURN_TLS_CERT: cert, TURN_TLS_KEY: key } });
    const [firstPort, lastPort] = server.relayPorts;
    for (const address of [
      { transport: 'udp', port: server.port },
      { transport: 'tcp', port: server.port },
      { transport: 'tls', port: server.tlsPort, ca, servername: 'turn.example.org' },
    ] as const) {
      const client = await connect(address, minted());
      const { relayed, mapped, lifetimeSeconds } = await client.allocate();
      expect(relayed.ip).toBe('127.0.0.1');
      expect(relayed.port).toBeGreaterThanOrEqual(firstPort);
      expect(relayed.port).toBeLessThanOrEqual(lastPort);
      expect(mapped.ip).toBe('127.0.0.1');
      expect(lifetimeSeconds).toBe(600);
      await client.refresh(0);
    }
  });

  test('does not listen for TLS without a certificate', async () => {
    const server = await coturn();
    const refusal = new Promise((resolve, reject) => {
      const socket = connectTcp(server.tlsPort, '127.0.0.1', () => {
        socket.destroy();
        reject(new Error('the TLS port accepts connections'));
      });
      socket.once('error', resolve);
    });
    expect(await refusal).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('refuses credentials that are expired, made with another secret, altered, or absent', async () => {
    const server = await coturn();
    const good = minted();
    const later = `${nowSeconds() + 86_400}:${good.username.split(':')[1]}`;
    for (const credentials of [
      // A minute, because coturn reads a coarser clock, which can still be in the last second.
      minted(SECRET, someUser(), nowSeconds() - 60),
      minted(OLD_SECRET),
      { ...good, username: later },
      { ...good, username: `${good.username}x` },
      { ...good, credential: `${good.credential.slice(0, -1)}!` },
      { username: someUser(), credential: good.credential },
      undefined,
    ]) {
      const client = await connect(server, credentials);
      await expect(client.allocate()).rejects.toMatchObject({ code: 401 });
    }
    await (await connect(server, good)).allocate();
  });

  test('accepts valid credentials immediately after the start, also from many clients at once', async () => {
    // With the database of coturn in a file, most of these requests were answered 401.
    for (let start = 0; start < 3; start++) {
      const server = await coturn();
      const clients = await Promise.all(Array.from({ length: 8 }, () => connect(server, minted())));
      await Promise.all(clients.map((client) => client.allocate()));
    }
  });

  test('accepts both secrets during a rotation', async () => {
    const server = await coturn({ env: { TURN_SECRET: `${SECRET}, ${OLD_SECRET}` } });
    await (await connect(server, minted(SECRET))).allocate();
    await (await connect(server, minted(OLD_SECRET))).allocate();
    const third = await connect(server, minted('the-secret-of-nobody'));
    await expect(third.allocate()).rejects.toMatchObject({ code: 401 });
  });

  test('limits one device to its quota, also over hours and many requests, and no other device', async () => {
    const server = await coturn();
    const clock = new FakeClock(Date.now());
    const env = { TURN_SECRET: SECRET, TURN_URLS: 'turn:turn.example.org:3478' };
    const servers = createIceServers(parseConfig(env), clock);
    const users = new Set<string>();
    const ask = (device: string) => {
      const granted = servers.forDevice('192.0.2.1', 'room', device);
      if (granted.kind !== 'granted') throw new Error('it is limited');
      const [{ username = '', credential = '' } = {}] = granted.iceServers;
      users.add(username);
      return connect(server, { username, credential });
    };
    for (let n = 0; n < shippedNumber('user-quota'); n++) {
      await (await ask('device')).allocate();
      clock.advance(10 * 60_000);
    }
    expect(users.size).toBeGreaterThan(5);
    await expect((await ask('device')).allocate()).rejects.toMatchObject({ code: 486 });
    await (await ask('another device')).allocate();
  });

  test('limits the bandwidth of an allocation, and has enough for all allocations that it admits', () => {
    // coturn reserves max-bps for each allocation, so a smaller capacity would be an undocumented smaller quota.
    expect(shippedNumber('bps-capacity')).toBe(
      shippedNumber('max-bps') * shippedNumber('total-quota'),
    );
  });

  test('keeps an allocation after its credentials expire, and refuses a new allocation', async () => {
    // The nonce becomes stale too, as in browsers after ten minutes. The allocation must survive that.
    const server = await coturn({
      conf: (text) => text.replace(/^stale-nonce=.*$/m, 'stale-nonce=1'),
    });
    // On a machine that needs longer than this for an allocation, the credentials live longer.
    let lifetimeSeconds = 1;
    const { client, credentials } = await eventually(async () => {
      lifetimeSeconds *= 2;
      const credentials = minted(SECRET, someUser(), nowSeconds() + lifetimeSeconds);
      const client = await connect(server, credentials);
      await client.allocate();
      return { client, credentials };
    });
    // coturn has a clock of its own, which is coarse.
    await eventually(async () => {
      const another = await connect(server, credentials);
      await expect(another.allocate()).rejects.toMatchObject({ code: 401 });
    });

    expect(await client.refresh(600)).toBe(600);
    expect(client.staleNonces).toBeGreaterThan(0);
    await client.createPermission('1.1.1.1');
  });

  test('the second coturn accepts only the static user', async () => {
    const credential = 'a-password-in-old-apps';
    const first = await coturn();
    const firstRelayPort = await freePort(50);
    const env = {
      TURN_STATIC_USER: `old-app:${credential}`,
      TURN_STATIC_PORT: String(await freePort()),
      TURN_STATIC_MIN_PORT: String(firstRelayPort),
      TURN_STATIC_MAX_PORT: String(firstRelayPort + 49),
    };
    const server = await coturn({ args: ['static'], env });
    const quota = shippedNumber('user-quota');
    for (let n = 0; n <= quota; n++) {
      await (await connect(server, { username: 'old-app', credential })).allocate();
    }
    const wrong = await connect(server, { username: 'old-app', credential: 'x' });
    await expect(wrong.allocate()).rejects.toMatchObject({ code: 401 });
    await expect((await connect(server, minted())).allocate()).rejects.toMatchObject({ code: 401 });
    await expect(
      (await connect(first, { username: 'old-app', credential })).allocate(),
    ).rejects.toMatchObject({ code: 401 });
  });

  test('logs no client address, and only the opaque id of a device', async () => {
    const server = await coturn();
    const credentials = minted();
    const client = await connect({ ...server, transport: 'tcp' }, credentials);
    const { mapped } = await client.allocate();
    await expect(client.createPermission('10.0.0.1')).rejects.toMatchObject({ code: 403 });
    await server.logged('A peer IP 10.0.0.1 denied');
    expect(server.log()).not.toContain(`127.0.0.1:${mapped.port}`);
    expect(server.log()).not.toContain(credentials.credential);
    expect(server.log()).not.toContain(SECRET);
  });

  test('denies private, loopback, link-local, metadata and reserved addresses as peers', async () => {
    const server = await coturn({ env: { TURN_LISTEN_IPS: '127.0.0.1,::1' } });
    const client4 = await connect(server, minted());
    await client4.allocate();
    const client6 = await connect(server, minted());
    await client6.allocate({ family: 6 });
    for (const ip of DENIED) {
      const client = ip.includes(':') ? client6 : client4;
      const refused = client.createPermission(ip);
      await expect(refused, ip).rejects.toMatchObject({ code: 403 });
    }
    // Public addresses on both sides of the denied ranges are allowed.
    for (const ip of ALLOWED) {
      await (ip.includes(':') ? client6 : client4).createPermission(ip);
    }
  });

  test('allows peers in TURN_ALLOWED_PEERS', async () => {
    const peers = '10.1.2.3, 10.2.0.0-10.2.0.9';
    const server = await coturn({ env: { TURN_ALLOWED_PEERS: peers } });
    const client = await connect(server, minted());
    await client.allocate();
    await client.createPermission('10.1.2.3');
    await client.createPermission('10.2.0.9');
    await expect(client.createPermission('10.2.0.10')).rejects.toMatchObject({ code: 403 });
  });

  test('behind NAT, it relays between two allocations by its public address', async () => {
    const env = { TURN_EXTERNAL_IP: '8.8.4.4/127.0.0.1' };
    // The external mapping uses loopback here, which coturn itself denies; it would allow a real private address.
    const conf = (text: string) => `${text}\nallow-loopback-peers\n`;
    const server = await coturn({ env, conf });
    const [one, other] = [await connect(server, minted()), await connect(server, minted())];
    const [from, to] = [(await one.allocate()).relayed, (await other.allocate()).relayed];
    expect(from.ip).toBe('8.8.4.4');
    await one.createPermission(to.ip);
    await other.createPermission(from.ip);
    one.send(to, Buffer.from('there'));
    expect(await other.receive()).toEqual({ peer: from, data: Buffer.from('there') });
    other.send(from, Buffer.from('and back'));
    expect(await one.receive()).toEqual({ peer: to, data: Buffer.from('and back') });
  });
});

const DENIED = [
  ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.100.100.200'],
  ...['127.0.0.1', '127.255.255.254', '168.63.129.16', '169.254.169.254', '172.16.0.1'],
  ...['172.31.255.255', '192.0.0.192', '192.0.2.1', '192.88.99.1', '192.168.0.1', '198.18.0.1'],
  ...['198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.250', '240.0.0.1'],
  '255.255.255.255',
  ...['::', '::1', '::127.0.0.1', '::ffff:10.0.0.1', '::ffff:127.0.0.1', '::ffff:169.254.169.254'],
  ...['::ffff:0:10.0.0.1', '64:ff9b::10.0.0.1', '64:ff9b:1::1', '100::1', '2001::1'],
  ...['2001:db8::1', '2002:a00:1::1', '3fff::1', '5f00::1', 'fc00::1', 'fd00:ec2::254'],
  ...['fe80::1', 'febf::1', 'fec0::1', 'ff02::1', 'ff0e::1'],
  // coturn compares byte by byte, so trailing zeros are a special case.
  ...['::7f00:0', '::ffff:10.0.0.0', '::ffff:169.254.0.0', '64:ff9b::', '64:ff9b::10.0.0.0'],
  ...['64:ff9b:1::', '64:ff9b::10.1.0.0', '100::', '2001::', '2001:db8::', '2002::', '2002:a00::'],
  ...['3fff::', '5f00::', 'fc00::', 'fd00::', 'fe80::', 'ff02::'],
  // Unassigned addresses, which no peer on the internet can have.
  ...['1::', '200::1', '400::100', '1000::100', '1fff::', '1fff:ffff::ffff', '4000::', '4000::1'],
  ...['5fff::1', '6000::1', '8000::', 'e000::1', 'fb00::1', 'fe00::', 'ffff::', 'ffff::ffff'],
  // Differences in each single byte.
  ...['100::', '1::', '0:100::', '0:1::', '0:0:100::', '0:0:1::', '0:0:0:100::', '0:0:0:1::'],
  ...['::100:0:0:0', '::1:0:0:0', '::100:0:0', '::1:0:0', '::100:0', '::1:0', '::100', '::ff'],
];

const ALLOWED = [
  ...['1.1.1.1', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255'],
  ...['128.0.0.0', '169.253.255.255', '172.15.255.255', '172.32.0.0', '192.167.255.255'],
  ...['192.169.0.0', '223.255.255.254', '2001:200::1', '2003::1', '2606:4700::1111', '2a00::1'],
  ...['2000::', '2000::1', '2001:db9::', '2003::', '3ffe::1', '3fff:1000::', '2600::'],
];
