// Provides a malicious server: a real one behind a proxy that reads, changes and adds signaling messages.

import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Frame } from '@couplet/testkit/browser';
import { onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';

export interface HostileServer {
  url: string;
  /** Called with each message of the server to a device. Returns the messages to forward. Forwards all by default. */
  toDevice: (message: Frame, deviceId: string) => Frame[];
  /** The same for messages of a device to the server. */
  toServer: (message: Frame, deviceId: string) => Frame[];
  /** Sends a forged message to a device. */
  say(deviceId: string, message: Frame): void;
  /** Closes all signaling connections. */
  cut(): void;
}

/** Starts the proxy in front of a server. It stops at the end of the test. */
export async function startHostileServer(server: { url: string }): Promise<HostileServer> {
  const devices = new Map<string, WebSocket>();
  const sockets = new WebSocketServer({ noServer: true });
  const accept = (near: WebSocket, path: string) => {
    const far = new WebSocket(server.url.replace('http', 'ws') + path);
    const early: string[] = [];
    let deviceId = '';
    const toServer = (data: string) => {
      const message = JSON.parse(data) as Frame;
      if (message.type === 'join_room') {
        deviceId = String(message.deviceId);
        devices.set(deviceId, near);
      }
      for (const each of hostile.toServer(message, deviceId)) far.send(JSON.stringify(each));
    };
    near.on('message', (data) => {
      if (far.readyState === WebSocket.OPEN) toServer(String(data));
      else early.push(String(data));
    });
    far.on('open', () => early.splice(0).forEach(toServer));
    far.on('message', (data) => {
      const message = JSON.parse(String(data)) as Frame;
      for (const each of hostile.toDevice(message, deviceId)) near.send(JSON.stringify(each));
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.terminate());
      // Forward the close code, because the client reacts to it. 1005 and 1006 cannot be sent.
      one.on('close', (code) =>
        code > 1006 || code === 1000 ? other.close(code) : other.terminate(),
      );
    }
  };
  const proxy = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const onward = request(server.url + url, { method, headers }, (answer) => {
      answer.pipe(outgoing.writeHead(answer.statusCode ?? 0, answer.rawHeaders));
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  proxy.on('upgrade', (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, (near) => accept(near, request.url ?? '/')),
  );
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const cut = () => {
    for (const socket of sockets.clients) socket.terminate();
  };
  onTestFinished(cut);
  const hostile: HostileServer = {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    cut,
    toDevice: (message) => [message],
    toServer: (message) => [message],
    say: (deviceId, message) => devices.get(deviceId)?.send(JSON.stringify(message)),
  };
  return hostile;
}
