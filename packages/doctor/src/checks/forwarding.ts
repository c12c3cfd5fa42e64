// Checks that two devices in one room receive each other's messages.
import { randomUUID } from 'node:crypto';
import { type Check, failed, passed } from '../check.js';
import type { Site } from '../site.js';
import { MessageRefused, SignalingSocket, SocketClosed } from '../web-socket.js';

export interface Meeting extends Site {
  roomId: string;
}

export const forwardingCheck: Check<Meeting> = {
  id: 'forwarding',
  title: 'Forwarding',
  late: () => ({
    detail: 'two devices in one room did not meet in time',
    advice:
      'Both devices must reach the same process. Do not put several independent servers behind one load balancer. If there is only one, a proxy delays messages.',
  }),
  async run(meeting, signal) {
    const [client1, client2] = meeting.devices;
    const sockets: SignalingSocket[] = [];
    const join = async (deviceId: string, secret: string | undefined) => {
      const socket = await SignalingSocket.open(meeting, signal);
      sockets.push(socket);
      socket.send({ type: 'join_room', roomId: meeting.roomId, deviceId, secret: secret ?? null });
      await socket.next('room_joined');
      return socket;
    };
    try {
      const one = await join(client1, meeting.secrets[0]);
      const two = await join(client2, meeting.secrets[1]);
      const ready = await one.next('room_ready');
      await two.next('room_ready');
      const [offerer, answerer] = ready.isInitiator ? [one, two] : [two, one];
      const [offer, answer] = [`doctor ${randomUUID()}`, `doctor ${randomUUID()}`];
      offerer.send({ type: 'webrtc_offer', sdp: offer });
      const offered = await answerer.next('webrtc_offer');
      answerer.send({ type: 'webrtc_answer', sdp: answer });
      const answered = await offerer.next('webrtc_answer');
      if (offered.sdp !== offer || answered.sdp !== answer)
        return failed(
          'a message was changed in transit',
          'A proxy changes messages. It must forward them unchanged.',
        );
      return passed('an offer and an answer went from one device to the other');
    } catch (error) {
      if (error instanceof MessageRefused)
        return failed(
          `a message was refused: ${error.code}`,
          'See docs/protocol.md for this code.',
        );
      if (error instanceof SocketClosed && !signal.aborted)
        return failed(
          `the WebSocket was closed (${error.closeCode}) during the check`,
          'A proxy closed the connection, or the server was restarted. Check the logs of both.',
        );
      throw error;
    } finally {
      for (const socket of sockets) socket.close();
    }
  },
};
