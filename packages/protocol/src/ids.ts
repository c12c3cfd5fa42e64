// Device ids, room ids, device secrets and join codes as schemas.
import { DEVICE_SECRET_LENGTH, JOIN_CODE_DIGITS, MAX_ID_BYTES } from './limits.js';
import { Type } from './typebox.js';

const encoder = new TextEncoder();

/**
 * Whether a string can be kept byte for byte: it has a UTF-8 form (no lone surrogate) of at most {@link MAX_ID_BYTES}.
 * A lone surrogate would come back from any store as U+FFFD, another id.
 */
const fitsId = (value: string): boolean => {
  // A UTF-16 unit is at most three bytes of UTF-8, so a short string needs no encoding to be measured.
  if (value.length * 3 > MAX_ID_BYTES && encoder.encode(value).length > MAX_ID_BYTES) return false;
  return !LONE_SURROGATE.test(value);
};

const LONE_SURROGATE = /\p{Surrogate}/u;

const id = (description: string) =>
  Type.Refine(
    Type.String({ minLength: 1, maxLength: MAX_ID_BYTES, description }),
    fitsId,
    () => `must be well-formed Unicode of at most ${MAX_ID_BYTES} bytes`,
  );

export const DeviceId = id(
  `Id that a device chose for itself; any non-empty string of at most ${MAX_ID_BYTES} UTF-8 bytes, kept byte for byte.`,
);

export const RoomId = id(
  `Id of a room: 48 lowercase hex characters from an accept; signaling takes any non-empty string of at most ${MAX_ID_BYTES} UTF-8 bytes.`,
);

export const DeviceSecret = id(
  `Secret of one device in one pairing: ${DEVICE_SECRET_LENGTH} characters, from the answer to create or accept.`,
);

/** The secret in a request: absent, null and the empty string are none. */
export const OptionalSecret = Type.Optional(
  Type.Union([DeviceSecret, Type.Null(), Type.Literal('')]),
);

/** A join code of so many digits. */
export const joinCode = (digits: number) =>
  Type.String({
    pattern: `^[0-9]{${digits}}$`,
    description: `Join code: a string of exactly ${digits} ASCII digits, leading zeros kept.`,
    examples: ['042137420421'.slice(0, digits)],
  });

export const JoinCode = joinCode(JOIN_CODE_DIGITS);
