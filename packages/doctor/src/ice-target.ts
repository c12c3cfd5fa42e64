// Parses the URL of an ICE server (RFC 7064, RFC 7065), and holds the TURN client that tests it.
import { lookup } from 'node:dns/promises';
import type { RTCIceServer } from '@couplet/protocol';
import { bare, type Endpoint, serverName } from './site.js';
import { type Allocation, TurnClient } from './turn-client.js';
import type { TurnServerAddress } from './turn-transport.js';

export interface IceUrl {
  kind: 'stun' | 'turn';
  /** `dtls`: a turns: URL with UDP, which no browser supports. */
  transport: TurnServerAddress['transport'] | 'dtls';
  server: Endpoint;
}

const URL_FORM =
  /^(stun|turn)(s?):(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?$/i;

/** Returns undefined if no browser would accept the URL. */
export function parseIceUrl(url: string): IceUrl | undefined {
  const parts = URL_FORM.exec(url.trim());
  if (parts === null) return undefined;
  const [, scheme = '', secure = '', host = '', port, transport] = parts;
  const kind = scheme.toLowerCase() as IceUrl['kind'];
  if (kind === 'stun' && transport !== undefined) return undefined;
  const server = { host: bare(host), port: Number(port ?? (secure ? 5349 : 3478)) };
  const over = transport?.toLowerCase() === 'tcp' ? 'tcp' : 'udp';
  if (secure === '') return { kind, transport: over, server };
  return { kind, transport: transport && over === 'udp' ? 'dtls' : 'tls', server };
}

/** The subject of the checks of one URL. */
export class IceTarget {
  readonly url: string;
  readonly kind: IceUrl['kind'];
  readonly transport: TurnServerAddress['transport'];
  readonly server: Endpoint;
  readonly ca: string | undefined;
  readonly credentials: { username: string; credential: string } | undefined;
  /** The address that the name resolved to. */
  ip = '';
  /** Whether UDP from this network works. */
  udp: 'unknown' | 'works' | 'fails' = 'unknown';
  allocation: Allocation | undefined;
  #client: TurnClient | undefined;

  constructor(
    url: string,
    { kind, transport, server }: IceUrl & { transport: TurnServerAddress['transport'] },
    { username, credential }: RTCIceServer,
    ca: string | undefined,
  ) {
    this.url = url;
    this.kind = kind;
    this.transport = transport;
    this.server = server;
    this.ca = ca;
    this.credentials = username && credential ? { username, credential } : undefined;
  }

  /** The port in the notation of firewalls, such as `3478/udp`. */
  get port(): string {
    return `${this.server.port}/${this.transport === 'udp' ? 'udp' : 'tcp'}`;
  }

  /** Whether the credentials have another form than those that the server makes for its own coturn: expiry and opaque id. */
  get isForeign(): boolean {
    return this.credentials !== undefined && !/^\d+:[\w-]{22}$/.test(this.credentials.username);
  }

  /** The client, connected by {@link connect}. */
  get client(): TurnClient {
    if (this.#client === undefined) throw new Error('not connected');
    return this.#client;
  }

  /** Connects to the first address of the name, IPv4 before IPv6. */
  async connect(signal: AbortSignal): Promise<TurnClient> {
    const { host, port } = this.server;
    this.ip = (await lookup(host, { verbatim: false })).address;
    const address = {
      transport: this.transport,
      host: this.ip,
      port,
      ca: this.ca,
      servername: serverName(host),
    };
    this.#client = await TurnClient.connect(address, this.credentials, signal);
    // The check may have been aborted during the await.
    if (signal.aborted) this.#client.close();
    return this.#client;
  }

  /** Ends the allocation, which would otherwise count against quotas for ten minutes, and disconnects. */
  async close(): Promise<void> {
    const ended = this.allocation && this.#client?.refresh(0, FAREWELL_MS);
    // The allocation expires by itself.
    await ended?.catch(() => {});
    this.#client?.close();
  }
}

const FAREWELL_MS = 1000;
