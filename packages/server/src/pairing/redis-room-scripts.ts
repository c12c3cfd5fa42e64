// Scripts on one room, and on what a device or an address has. A room that was deleted leaves an empty value for a while: nobody who is late makes it again.
//
// A room is a JSON array: its two devices, the digests of their secrets ('': none), and, as its last character but one,
// which of them have proved themselves: 1 the first, 2 the second, 3 both. Rooms of older versions have the devices only.
import { defineScript } from '../platform/redis.js';

export const PUT_ROOM = defineScript(
  'put-room',
  `
-- KEYS 1 the room, 2 the index of its bucket
-- ARGV 1 its devices, 2 hash of its id, 3 now
local known = redis.call('GET', KEYS[1])
if known then return known end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
return ARGV[1]`,
);

export const PROVE_ROOM = defineScript(
  'prove-room',
  `
-- KEYS 1 the room
-- ARGV 1 which device has proved itself: 1 or 2
local known = redis.call('GET', KEYS[1])
if not known or known == '' then return 0 end
local start, proved = string.match(known, '^(.*,)([0-3])%]$')
if not start then return 1 end
local device = tonumber(ARGV[1])
local before = tonumber(proved)
if before == device or before == 3 then return 1 end
redis.call('SET', KEYS[1], start .. string.format('%d', before + device) .. ']')
return 1`,
  ['allow-oom'],
);

export const DROP_ROOM = defineScript(
  'drop-room',
  `
-- KEYS 1 the room, 2 the index of its bucket
-- ARGV 1 hash of its id, 2 for how long it cannot be made again, in milliseconds,
--      3 '1' to see to that also where there is no room yet,
--      4 '1' where a secret of one of its devices was sent, '0' where none is known to have been sent,
--      'required' where one is needed although no device has proved itself
-- Returns what was there, and '1' where that stays for want of a secret.
local known = redis.call('GET', KEYS[1])
if known == '' or (not known and ARGV[3] ~= '1') then return { known, '' } end
local isProved = known and string.match(known, ',[1-3]%]$')
if known and ARGV[4] ~= '1' and (isProved or ARGV[4] == 'required') then return { known, '1' } end
redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[1])
return { known, '' }`,
  ['allow-oom'],
);

export const USE_ROOM = defineScript(
  'use-room',
  `
-- KEYS 1 the room, 2 the index of its bucket
-- ARGV 1 hash of its id, 2 now, 3 a use is noted at most this often, in milliseconds
local known = redis.call('GET', KEYS[1])
if not known or known == '' then return known end
local used = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not used or tonumber(ARGV[2]) - tonumber(used) > tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
end
return known`,
);

export const SWEEP_ROOM = defineScript(
  'sweep-room',
  `
-- KEYS 1 the room, 2 the index of its bucket
-- ARGV 1 hash of its id, 2 rooms last used before this go
local used = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not used or tonumber(used) >= tonumber(ARGV[2]) then return false end
local known = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return known`,
  ['allow-oom'],
);

/** Keeps a set of codes no longer than its last entry; where a room is in it, for ever. */
const LIMIT_LIFE = `
local function limitLife(key)
  local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  if not last[2] then return end
  if last[2] == 'inf' or tonumber(last[2]) == math.huge then redis.call('PERSIST', key)
  else redis.call('PEXPIREAT', key, last[2]) end
end
`;

export const RESERVE = defineScript(
  'reserve',
  `${LIMIT_LIFE}
-- KEYS 1 what a device, or an address, has
-- ARGV 1 the entry, 2 its expiry, 3 now, 4 how many entries that expire there may be
-- Returns 1: added, 0: it was there, -1: there are too many.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not known and redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[3], '(+inf') >= tonumber(ARGV[4]) then
  return -1
end
-- Never to an earlier time: should what follows fail, an entry would end before its pending.
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
limitLife(KEYS[1])
return known and 0 or 1`,
);

export const RELEASE = defineScript(
  'release',
  `
-- KEYS 1 what a device, or an address, has
-- ARGV 1 the entry, 2 its expiry: one that was reserved anew meanwhile has another, and stays
local known = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not known or tonumber(known) ~= tonumber(ARGV[2]) then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])`,
  ['allow-oom'],
);

export const GIVE_ROOM = defineScript(
  'give-room',
  `${LIMIT_LIFE}
-- KEYS 1 what the device has, 2 the codes that it accepted
-- ARGV 1 the entry of the room, 2 entry of the pending that it made, or empty, 3 code that it accepted, or empty,
--      4 expiry of the pending, 5 now
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[5])
redis.call('ZADD', KEYS[1], '+inf', ARGV[1])
if ARGV[2] ~= '' then redis.call('ZADD', KEYS[1], 'GT', ARGV[4], ARGV[2]) end
limitLife(KEYS[1])
if ARGV[3] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[5])
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
  limitLife(KEYS[2])
end
return 1`,
);

export const TAKE_ROOM = defineScript(
  'take-room',
  `${LIMIT_LIFE}
-- KEYS 1 what the device has
-- ARGV 1 the entry of the room
local removed = redis.call('ZREM', KEYS[1], ARGV[1])
if removed == 1 then limitLife(KEYS[1]) end
return removed`,
  ['allow-oom'],
);
