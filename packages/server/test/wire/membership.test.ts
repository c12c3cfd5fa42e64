// join_room, leave_room, and the messages about other members: docs/protocol.md §4 and §5.
import { randomUUID } from 'node:crypto';
import { Peer } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { rowsOf } from '@couplet/testkit/stories';
import { play } from '@couplet/testkit/wire-stories';
import { describe, expect, test } from 'vitest';

const site = await serverUnderTest();
const { wsUrl } = site;

const stories = (table: string) =>
  test.each(rowsOf(table))('%s', async (_title, script) => void (await play(script, [site])));

describe('join_room', () => {
  stories(`
    the first member waits, and the second makes the room ready, for itself first:
        x joins r = room_joined 1 initiator; y joins r = room_joined 2 responder;
        y told room_ready responder; x told room_ready initiator
    a third client gets room_full and stays usable: x and y meet in r; z joins r = room_full;
        z joins s = room_joined 1; x told nothing; y told nothing
    a client that is refused a seat in another room keeps its seat: x and y meet in r;
        v and w meet in s; x joins s = room_full; x says still here; y told still here
    joining another room leaves the old room, whose peer gets peer_left: x and y meet in r;
        x joins s = room_joined 1 initiator; y told peer_left; y says x; y told no_peer
    joining the current room is answered as a join, and the peer gets nothing: x and y meet in r;
        x joins r = room_joined 2 initiator; x told room_ready initiator; y told nothing
  `);

  test('connected comes first, with the id of the connection and the name of the server', async () => {
    const peer = await Peer.connect(wsUrl);
    expect(peer.clientId).toMatch(/^[0-9a-f-]{36}$/);
    expect(await peer.sync()).toEqual([]);
  });

  test('messages in the same packet after a join are handled after it', async () => {
    const roomId = randomUUID();
    const first = await Peer.connect(wsUrl);
    await first.join(roomId);
    const second = await Peer.connect(wsUrl);
    const socket = (second.socket as unknown as { _socket: { cork(): void; uncork(): void } })
      ._socket;
    socket.cork();
    second.send({ type: 'join_room', roomId, deviceId: randomUUID() });
    for (let n = 0; n < 20; n++) second.send({ type: 'webrtc_offer', sdp: String(n) });
    second.send({ type: 'leave_room' });
    socket.uncork();
    await first.next('room_ready');
    for (let n = 0; n < 20; n++) expect((await first.next('webrtc_offer')).sdp).toBe(String(n));
    await first.next('peer_left');
    expect((await second.sync()).map(({ type }) => type)).toEqual([
      'room_joined',
      'room_ready',
      'left_room',
    ]);
  });
});

describe('leave_room', () => {
  stories(`
    the sender gets left_room with the room, its peer gets peer_left: x and y meet in r; x leaves;
        x told left_room r; y told peer_left
    a client without a room gets left_room with null: x connects; x leaves;
        x told left_room no room
    after leaving, the same room can be joined again, and the member who stayed is the initiator:
        x and y meet in r; x leaves; x told left_room r; y told peer_left;
        x joins r = room_joined 2 responder; x told room_ready responder;
        y told room_ready initiator
  `);
});

describe('a peer that disconnects without leaving', () => {
  stories(`
    is reported at once if its connection is closed: x and y meet in r; x hangs up;
        y told peer_disconnected
    is reported at once if its connection is cut without a closing handshake: x and y meet in r;
        x is cut; y told peer_disconnected
    frees its seat, and the member who stayed is the initiator: x and y meet in r; x hangs up;
        y told peer_disconnected; z joins r = room_joined 2 responder; z told room_ready responder;
        y told room_ready initiator
  `);

  test('a client that disconnects during its join leaves no member behind', async () => {
    const roomId = randomUUID();
    const ghost = await Peer.connect(wsUrl);
    ghost.send({ type: 'join_room', roomId, deviceId: randomUUID() });
    ghost.socket.terminate();
    await ghost.closed;
    // The server handles the frame and the end of the socket asynchronously. Each poll is a round trip; few are needed.
    const [first, second] = [await Peer.connect(wsUrl), await Peer.connect(wsUrl)];
    await first.join(roomId);
    second.send({ type: 'join_room', roomId });
    while ((await second.next()).type === 'room_full') second.send({ type: 'join_room', roomId });
    expect(await second.sync()).toMatchObject([{ type: 'room_ready' }]);
  });
});

describe('a join with the device id of a present member', () => {
  stories(`
    takes its seat and role over, the old connection is closed, and the peer sees it leave and return:
        x joins r as a; y joins r as b; y told room_ready responder; x told room_ready initiator;
        z joins r as a = room_joined 2 initiator; z told room_ready initiator;
        x closed 4001 replaced; y told peer_disconnected, room_ready responder;
        y says for the new one; z told for the new one; y told nothing
    takes its own seat over if it is alone: x joins r as a;
        z joins r as a = room_joined 1 initiator; x closed 4001 replaced; z told nothing
    after it, late messages of the replaced connection reach no one: x joins r as a;
        y joins r as b; y told room_ready responder; x told room_ready initiator; z joins r as a;
        x says late; x closed 4001 replaced; y told peer_disconnected, room_ready responder;
        y told nothing
  `);
});

describe('the roles in a paired room do not depend on the order of arrival', () => {
  stories(`
    client1 and then client2: a and b pair by r; x joins r as a = room_joined 1 initiator;
        y joins r as b; y told room_ready responder; x told room_ready initiator
    client2 and then client1: a and b pair by r; x joins r as b = room_joined 1 responder;
        y joins r as a; y told room_ready initiator; x told room_ready responder
    a member without a device id, which gets the remaining role: a and b pair by r; x joins r;
        y joins r as a; y told room_ready initiator; x told room_ready responder
    a member without a device id, and then client2: a and b pair by r; x joins r; y joins r as b;
        y told room_ready responder; x told room_ready initiator
    a member that joins again keeps its device id, and another one may change both roles:
        a and b pair by r; x joins r as b; y joins r; y told room_ready initiator;
        x told room_ready responder; x joins r = room_joined 2 responder;
        x told room_ready responder; y told nothing; x joins r as a = room_joined 2 initiator;
        x told room_ready initiator; y told room_ready responder
    of two unknown members, the order of arrival decides: a and b pair by r; x joins r; y joins r;
        y told room_ready responder; x told room_ready initiator
    a member that comes first and alone gets the role that it keeps: a and b pair by r;
        x joins r as b = room_joined 1 responder; x leaves; x told left_room r;
        y joins r as a = room_joined 1 initiator; y leaves; y told left_room r;
        x joins r as b = room_joined 1 responder; y joins r as a = room_joined 2 initiator;
        y told room_ready initiator; x told room_ready responder
  `);
});
