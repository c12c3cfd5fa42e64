// Provides two sessions in this process whose peer connections have nothing but data channels, which a test can cut.
import { Emitter } from '../../src/emitter.js';
import type { FileSession } from '../../src/index.js';
import type { SessionEvents, SessionState } from '../../src/session/session-events.js';
import { FakeChannel } from './fake-peer-connection.js';

type Message = string | ArrayBuffer;

class Channel extends FakeChannel {
  override readyState = 'open';
  onbufferedamountlow: (() => void) | null = null;
  declare peer: Channel | undefined;

  constructor(
    readonly side: Side,
    readonly label: string,
    readonly protocol: string,
  ) {
    super();
  }

  override send(data: string | Uint8Array): void {
    const sent = typeof data === 'string' ? data : data.slice().buffer;
    const passed = this.side.pass(sent as Message);
    if (typeof sent !== 'string') this.bufferedAmount += sent.byteLength;
    setImmediate(() => {
      if (typeof sent !== 'string') this.bufferedAmount -= sent.byteLength;
      if (this.readyState === 'open') this.onbufferedamountlow?.();
      // As in Chromium, which also delivers messages before a channel is open.
      if (this.peer?.readyState !== 'closed') this.peer?.onmessage?.({ data: passed });
    });
  }

  /** Closes both ends, after what was sent before. */
  close(): void {
    if (this.readyState !== 'open') return;
    this.readyState = 'closing';
    setImmediate(() => this.end());
  }

  end(): void {
    for (const end of [this, this.peer]) {
      if (!end || end.readyState === 'closed') continue;
      end.readyState = 'closed';
      end.onclose?.({});
    }
  }
}

class Peer extends EventTarget {
  readonly channels: Channel[] = [];

  constructor(readonly side: Side) {
    super();
  }

  createDataChannel(label: string, { protocol = '' } = {}): Channel {
    const channel = new Channel(this.side, label, protocol);
    const other = new Channel(this.side.other as Side, label, protocol);
    channel.peer = other;
    other.peer = channel;
    this.channels.push(channel);
    setImmediate(() => {
      this.side.other?.peer.dispatchEvent(
        Object.assign(new Event('datachannel'), { channel: other }),
      );
    });
    return channel;
  }
}

/** One of the two sessions. */
export class Side extends Emitter<SessionEvents> {
  state: SessionState = 'connected';
  peer = new Peer(this);
  other: Side | undefined;
  /** Set by a test: changes what this side sends. */
  pass = (data: Message): Message => data;

  get session(): FileSession {
    return this as unknown as FileSession;
  }

  become(state: SessionState): void {
    this.state = state;
    this.emit('state', state);
  }

  leave(): void {
    this.emit('peer-left');
  }

  renew(): void {
    for (const channel of this.peer.channels) channel.end();
    this.peer = new Peer(this);
    this.emit('peer', this.peer as unknown as RTCPeerConnection);
  }
}

export function linkedSessions() {
  const [one, two] = [new Side(), new Side()];
  one.other = two;
  two.other = one;
  const both = [one, two];
  return {
    one,
    two,
    /** Loses the connection with all that is in transit. */
    cut() {
      for (const side of both) side.become('reconnecting');
      for (const side of both) side.renew();
    },
    reconnect() {
      for (const side of both) side.become('connected');
    },
  };
}
