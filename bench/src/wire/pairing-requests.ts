// The requests of pairing as prepared bytes, in which only the digits change for each flow.

const DIGITS_OF_CODE = 6;
const DIGITS_OF_DEVICE = 12;
const CODE = '0'.repeat(DIGITS_OF_CODE);

/** A request whose join code and device are written into it in place. */
export class RequestTemplate {
  readonly bytes: Buffer;
  readonly #codeAt: number;
  readonly #deviceAt: number;

  constructor(port: number, path: string, body: object, device: string, headers = '') {
    const json = JSON.stringify(body);
    const head =
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
      `${headers}Content-Length: ${json.length}\r\n\r\n`;
    this.bytes = Buffer.from(head + json, 'latin1');
    this.#codeAt = head.length + json.indexOf(CODE);
    this.#deviceAt = head.length + json.indexOf(device) + device.length - DIGITS_OF_DEVICE;
  }

  /** Fills in the values. Only after the answer to the last use, because the bytes may still be in transit. */
  fill(code: number, device: number): Buffer {
    writeDigits(this.bytes, this.#codeAt, DIGITS_OF_CODE, code);
    writeDigits(this.bytes, this.#deviceAt, DIGITS_OF_DEVICE, device);
    return this.bytes;
  }
}

// In uppercase, as one of the existing clients sends them.
const DEVICE_1 = `5E1D0000-0000-4000-8000-${'0'.repeat(DIGITS_OF_DEVICE)}`;
const DEVICE_2 = `ACCE0000-0000-4000-9000-${'0'.repeat(DIGITS_OF_DEVICE)}`;

/** The header of a proxy. Limits count addresses, and a load of many clients comes from as many. */
export const addressOf = (client: number): string =>
  `X-Forwarded-For: 10.${(client >> 16) & 255}.${(client >> 8) & 255}.${client & 255}\r\n`;

/** @param headers - lines of further headers */
export const createRequest = (port: number, headers = ''): RequestTemplate =>
  new RequestTemplate(
    port,
    '/api/rooms',
    { joinid: CODE, expiresInSeconds: 300, client1: DEVICE_1 },
    DEVICE_1,
    headers,
  );

export const acceptRequest = (
  port: number,
  headers = '',
  path = '/api/rooms/accept',
): RequestTemplate =>
  new RequestTemplate(port, path, { joinid: CODE, client2: DEVICE_2 }, DEVICE_2, headers);

/** @param waitSeconds - 0 if the answer must not be held */
export const checkRequest = (port: number, headers = '', waitSeconds = 0): RequestTemplate =>
  new RequestTemplate(
    port,
    '/api/rooms/check',
    { joinid: CODE, client1: DEVICE_1 },
    DEVICE_1,
    waitSeconds > 0 ? `${headers}Prefer: wait=${waitSeconds}\r\n` : headers,
  );

function writeDigits(bytes: Buffer, at: number, width: number, value: number): void {
  let rest = value;
  for (let n = at + width - 1; n >= at; n--) {
    bytes[n] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}
