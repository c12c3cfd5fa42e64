// Encodes and decodes the STUN messages of a TURN client (RFC 8489 §5, §14; TURN attributes: RFC 8656 §18).
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const MAGIC_COOKIE = 0x2112a442;
export const HEADER_BYTES = 20;
const INTEGRITY_BYTES = 20;

/** RFC 8489 §18.2 and RFC 8656 §17. */
export const METHODS = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  send: 0x006,
  data: 0x007,
  createPermission: 0x008,
} as const;
export type Method = keyof typeof METHODS;

/** The class bits of a message type (RFC 8489 §5). */
export const CLASSES = { request: 0x000, indication: 0x010, success: 0x100, error: 0x110 } as const;
export type MessageClass = keyof typeof CLASSES;

export const ATTRIBUTES = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  data: 0x0013,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedAddressFamily: 0x0017,
  requestedTransport: 0x0019,
  xorMappedAddress: 0x0020,
} as const;
export type AttributeName = keyof typeof ATTRIBUTES;

export interface Address {
  ip: string;
  port: number;
}

export interface StunMessage {
  method: Method;
  class: MessageClass;
  /** 12 bytes. */
  transactionId: Buffer;
  /** The first attribute of each supported kind. */
  attributes: Partial<Record<AttributeName, Buffer>>;
  /** The whole received message. */
  bytes: Buffer;
}

/** The key of long-term credentials (RFC 8489 §9.2.2). */
export function longTermKey(username: string, realm: string, password: string): Buffer {
  return createHash('md5').update(`${username}:${realm}:${password}`).digest();
}

/** Encodes a message. With `key`, MESSAGE-INTEGRITY is appended. */
export function encode(
  method: Method,
  messageClass: MessageClass,
  attributes: [AttributeName, Buffer][],
  options: { key?: Buffer; transactionId?: Buffer } = {},
): Buffer {
  const { key, transactionId = randomBytes(12) } = options;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(METHODS[method] | CLASSES[messageClass], 0);
  header.writeUInt32BE(MAGIC_COOKIE, 4);
  transactionId.copy(header, 8);
  const message = Buffer.concat([header, ...attributes.map(([name, value]) => tlv(name, value))]);
  setLength(message, 0);
  if (key === undefined) return message;
  // It covers the preceding bytes, with the length field already including it (RFC 8489 §14.5).
  setLength(message, 4 + INTEGRITY_BYTES);
  const integrity = createHmac('sha1', key).update(message).digest();
  return Buffer.concat([message, tlv('messageIntegrity', integrity)]);
}

/** Decodes one whole message; returns undefined if it is not STUN or has an unsupported method. */
export function decode(bytes: Buffer): StunMessage | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(4) !== MAGIC_COOKIE) return undefined;
  const type = bytes.readUInt16BE(0);
  const method = nameOf(METHODS, type & ~0x110);
  const messageClass = nameOf(CLASSES, type & 0x110);
  if (method === undefined || messageClass === undefined) return undefined;
  const attributes: StunMessage['attributes'] = {};
  for (let at = HEADER_BYTES; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2);
    const name = nameOf(ATTRIBUTES, bytes.readUInt16BE(at));
    if (name !== undefined) attributes[name] ??= bytes.subarray(at + 4, at + 4 + length);
    at += 4 + padded(length);
  }
  return { method, class: messageClass, transactionId: bytes.subarray(8, 20), attributes, bytes };
}

/** Whether the MESSAGE-INTEGRITY of the message matches `key`. */
export function hasIntegrity({ bytes, attributes }: StunMessage, key: Buffer): boolean {
  const given = attributes.messageIntegrity;
  if (given?.length !== INTEGRITY_BYTES) return false;
  const end = given.byteOffset - bytes.byteOffset - 4;
  const covered = Buffer.from(bytes.subarray(0, end));
  setLength(covered, 4 + INTEGRITY_BYTES);
  return timingSafeEqual(createHmac('sha1', key).update(covered).digest(), given);
}

/** Returns the code and reason of ERROR-CODE (RFC 8489 §14.8). */
export function errorOf({ attributes }: StunMessage): { code: number; reason: string } {
  const given = attributes.errorCode;
  const value = given !== undefined && given.length >= 4 ? given : Buffer.alloc(4);
  return {
    code: (value.readUInt8(2) & 7) * 100 + value.readUInt8(3),
    reason: value.subarray(4).toString(),
  };
}

/** Encodes a 32-bit attribute value. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Encodes XOR-MAPPED-ADDRESS and similar attributes (RFC 8489 §14.2). */
export function xorAddress({ ip, port }: Address, transactionId: Buffer): Buffer {
  const address = ipBytes(ip);
  const head = Buffer.alloc(4);
  head.writeUInt8(address.length === 4 ? 1 : 2, 1);
  head.writeUInt16BE(port ^ (MAGIC_COOKIE >>> 16), 2);
  return Buffer.concat([head, xor(address, transactionId)]);
}

/** Decodes such an attribute; returns undefined if it is not an address. */
export function readXorAddress(value: Buffer, transactionId: Buffer): Address | undefined {
  if (value.length !== 8 && value.length !== 20) return undefined;
  const address = xor(value.subarray(4), transactionId);
  const port = value.readUInt16BE(2) ^ (MAGIC_COOKIE >>> 16);
  if (address.length === 4) return { ip: address.join('.'), port };
  const groups = Array.from({ length: 8 }, (_, n) => address.readUInt16BE(2 * n).toString(16));
  return { ip: new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1), port };
}

function xor(address: Buffer, transactionId: Buffer): Buffer {
  const mask = Buffer.concat([uint32(MAGIC_COOKIE), transactionId]);
  return Buffer.from(address.map((byte, n) => byte ^ (mask[n] as number)));
}

function ipBytes(ip: string): Buffer {
  if (!ip.includes(':')) return Buffer.from(ip.split('.').map(Number));
  // A URL writes an IPv6 address in its shortest form, without dots.
  const [head = '', tail = ''] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const gap = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: gap }, () => '0'), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function tlv(name: AttributeName, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + padded(value.length));
  bytes.writeUInt16BE(ATTRIBUTES[name], 0);
  bytes.writeUInt16BE(value.length, 2);
  value.copy(bytes, 4);
  return bytes;
}

function setLength(message: Buffer, more: number): void {
  message.writeUInt16BE(message.length - HEADER_BYTES + more, 2);
}

const padded = (length: number): number => (length + 3) & ~3;

function nameOf<T extends Record<string, number>>(names: T, value: number): keyof T | undefined {
  return Object.keys(names).find((name) => names[name] === value);
}
