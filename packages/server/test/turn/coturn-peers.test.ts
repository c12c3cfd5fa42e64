// Peers that an allocation of the real coturn may reach: public addresses and each other, but no private network.

import { describeWith } from '@couplet/testkit/components';
import { connect, coturn, minted } from '@couplet/testkit/turn-fixture';
import { expect, test } from 'vitest';

describeWith(['turnserver'], 'peers', () => {
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
