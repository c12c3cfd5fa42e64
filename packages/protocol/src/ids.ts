// Defines the schemas of device ids, room ids, device secrets and join codes.
import { DEVICE_SECRET_LENGTH, JOIN_CODE_DIGITS, MAX_ID_BYTES } from './limits.js';
import { Type } from './typebox.js';

const encoder = new TextEncoder();

/**
 * Whether a string can be stored without change: it has a UTF-8 form (no lone surrogate) of at most {@link MAX_ID_BYTES}.
 * A store would return a lone surrogate as U+FFFD, which makes another id.
 */
const fitsId = (value: string): boolean => {
  // A UTF-16 unit has at most three bytes in UTF-8, so a short string needs no encoding.
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
  `Id that a device chooses for itself: any non-empty string of at most ${MAX_ID_BYTES} UTF-8 bytes, stored unchanged.`,
);

export const RoomId = id(
  `Id of a room: 48 lowercase hex characters if made by an accept; signaling accepts any non-empty string of at most ${MAX_ID_BYTES} UTF-8 bytes.`,
);

export const DeviceSecret = id(
  `Secret of one device in one pairing: ${DEVICE_SECRET_LENGTH} characters, from the response to create or accept.`,
);

/** The secret in a request; null and the empty string count as absent. */
export const OptionalSecret = Type.Optional(
  Type.Union([DeviceSecret, Type.Null(), Type.Literal('')]),
);

/** Returns the schema of a join code with the given number of digits. */
export const joinCode = (digits: number) =>
  Type.String({
    pattern: `^[0-9]{${digits}}$`,
    description: `Join code: a string of exactly ${digits} ASCII digits, including leading zeros.`,
    examples: ['042137420421'.slice(0, digits)],
  });

export const JoinCode = joinCode(JOIN_CODE_DIGITS);
