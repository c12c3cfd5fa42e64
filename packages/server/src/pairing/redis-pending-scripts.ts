// Scripts on one pending and the index of its bucket. `now` is the caller's: what has expired by it is not there, whatever Redis still keeps.
//
// Fields of a pending: c1 its creator; x when it expires; g what its address counted as; k the request that made it;
// once accepted: c2 by whom; r the room; a the request that accepted it; d whether room and devices have been written;
// w ids of the nodes that hold checks of it; secret1 digest of its creator's secret; proved1 whether that was sent;
// secret2 digest of the secret of the device that accepted it.
import { defineScript } from '../platform/redis.js';

/** What scripts tell of an accepted pending, behind their own word. */
const TELL = `
local function tell(word, key)
  local v = redis.call('HMGET', key, 'c1', 'c2', 'r', 'x', 'd', 'g', 'w', 'secret1', 'proved1', 'secret2')
  local told = { word }
  for n = 1, 10 do told[n + 1] = v[n] or '' end
  return told
end
`;

export const CREATE_PENDING = defineScript(
  'create-pending',
  `${TELL}
-- KEYS 1 the pending, 2 the index of its bucket
-- ARGV 1 join code, 2 creator, 3 expiry, 4 now, 5 what the address counts as, 6 the request, or empty,
--      7 digest of the new secret, 8 digest of the secret that the creator has sent, or empty
-- Returns 'created', or 'renewed' where the creator keeps the secret that it has sent. Digests are compared as they are:
-- the time that this takes tells nothing of a secret.
local p = redis.call('HMGET', KEYS[1], 'c1', 'x', 'c2', 'k', 'secret1', 'proved1')
local word, secret, proved = 'created', ARGV[7], ''
if p[1] and tonumber(p[2]) > tonumber(ARGV[4]) then
  if ARGV[6] ~= '' and p[4] == ARGV[6] then
    return tell(p[5] == ARGV[7] and 'created' or 'renewed', KEYS[1])
  end
  if p[3] then return tell('accepted', KEYS[1]) end
  if p[1] ~= ARGV[2] then return { 'conflict' } end
  if p[5] and ARGV[8] ~= '' then
    if p[5] ~= ARGV[8] then return { 'conflict' } end
    word, secret, proved = 'renewed', ARGV[8], '1'
  elseif p[6] == '1' then
    return { 'conflict' }
  end
end
local told = tell(word, KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'c1', ARGV[2], 'x', ARGV[3], 'g', ARGV[5], 'secret1', secret)
if proved == '1' then redis.call('HSET', KEYS[1], 'proved1', '1') end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'k', ARGV[6]) end
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return told`,
);

/** The commit point of an accept: of racing ones, one finds no c2. */
export const ACCEPT_PENDING = defineScript(
  'accept-pending',
  `${TELL}
-- KEYS 1 the pending, 2 the index of its bucket
-- ARGV 1 join code, 2 who accepts, 3 id of the new room, 4 collectable until, 5 now, 6 the request, or empty,
--      7 digest of the secret of the device that accepts
local p = redis.call('HMGET', KEYS[1], 'c1', 'x', 'c2', 'a')
if not p[1] or tonumber(p[2]) <= tonumber(ARGV[5]) then return { 'missing' } end
if p[3] then
  if ARGV[6] ~= '' and p[4] == ARGV[6] then return tell('accepted', KEYS[1]) end
  return tell(p[1] == ARGV[2] and 'own' or 'conflict', KEYS[1])
end
if p[1] == ARGV[2] then return { 'own' } end
local x = p[2]
if tonumber(ARGV[4]) > tonumber(x) then x = ARGV[4] end
redis.call('HSET', KEYS[1], 'c2', ARGV[2], 'r', ARGV[3], 'a', ARGV[6], 'x', x, 'secret2', ARGV[7])
redis.call('PEXPIREAT', KEYS[1], x)
redis.call('ZADD', KEYS[2], x, ARGV[1])
return tell('accepted', KEYS[1])`,
);

/** Nodes whose held checks a pending remembers; a device that asks more of them at once waits for its time instead. */
const MAX_HOLDERS = 16;

export const CHECK_PENDING = defineScript(
  'check-pending',
  `${TELL}
-- KEYS 1 the pending, 2 the index of its bucket
-- ARGV 1 join code, 2 who asks, 3 now, 4 the node that will hold the check, or empty,
--      5 '1' to delete at once what can be collected, 6 digest of the secret that was sent, or empty
local p = redis.call('HMGET', KEYS[1], 'c1', 'x', 'c2', 'd', 'w', 'secret1', 'proved1')
if not p[1] or p[1] ~= ARGV[2] or tonumber(p[2]) <= tonumber(ARGV[3]) then return { 'missing' } end
if p[6] and ARGV[6] ~= '' then
  if p[6] ~= ARGV[6] then return { 'missing' } end
  if p[7] ~= '1' then redis.call('HSET', KEYS[1], 'proved1', '1') end
elseif p[7] == '1' then
  return { 'missing' }
end
if not p[3] then
  if ARGV[4] ~= '' then
    local holders = {}
    for id in string.gmatch(p[5] or '', '%S+') do
      if id ~= ARGV[4] then holders[#holders + 1] = id end
    end
    if #holders >= ${MAX_HOLDERS} then table.remove(holders, 1) end
    holders[#holders + 1] = ARGV[4]
    redis.call('HSET', KEYS[1], 'w', table.concat(holders, ' '))
  end
  return { 'waiting', p[2] }
end
if ARGV[5] == '1' and p[4] then
  local told = tell('collected', KEYS[1])
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
  return told
end
return tell('accepted', KEYS[1])`,
  ['allow-oom'],
);

export const MARK_DONE = defineScript(
  'mark-done',
  `
-- KEYS 1 the pending
-- ARGV 1 id of its room
if redis.call('HGET', KEYS[1], 'r') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'd', '1')
return 1`,
);

export const COLLECT_PENDING = defineScript(
  'collect-pending',
  `
-- KEYS 1 the pending, 2 the index of its bucket
-- ARGV 1 join code, 2 id of its room: a code that was made anew meanwhile stays
if redis.call('HGET', KEYS[1], 'r') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`,
  ['allow-oom'],
);

export const CANCEL_PENDING = defineScript(
  'cancel-pending',
  `${TELL}
-- KEYS 1 the pending, 2 the index of its bucket
-- ARGV 1 join code, 2 the device that created it, 3 digest of the secret that was sent, or empty
local p = redis.call('HMGET', KEYS[1], 'c1', 'c2', 'secret1', 'proved1')
if p[1] ~= ARGV[2] or p[2] then return { 'missing' } end
if p[3] and (ARGV[3] ~= '' and p[3] ~= ARGV[3] or ARGV[3] == '' and p[4] == '1') then
  return { 'missing' }
end
local told = tell('cancelled', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return told`,
  ['allow-oom'],
);

export const PURGE_PENDING = defineScript(
  'purge-pending',
  `${TELL}
-- KEYS 1 the pending, 2 the index of its bucket
-- ARGV 1 join code, 2 the device that is to be forgotten, 3 the room, where its deletion was allowed, or empty,
--      4 '1' where a secret is needed and was sent, '0' where one may be needed and none is known to have been sent,
--      'required' where one is needed in any case
local p = redis.call('HMGET', KEYS[1], 'c1', 'c2', 'r', 'proved1')
if p[1] ~= ARGV[2] and p[2] ~= ARGV[2] then return { 'missing' } end
if p[3] and p[3] ~= ARGV[3] then return tell('accepted', KEYS[1]) end
if not p[3] and ARGV[4] ~= '1' and (p[4] == '1' or ARGV[4] == 'required') then
  return tell('kept', KEYS[1])
end
local told = tell('purged', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return told`,
  ['allow-oom'],
);

export const SWEEP_PENDING = defineScript(
  'sweep-pending',
  `
-- KEYS 1 the pending, 2 the index of its bucket
-- ARGV 1 join code, 2 now
local x = redis.call('HGET', KEYS[1], 'x')
if x and tonumber(x) > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
return redis.call('ZREM', KEYS[2], ARGV[1])`,
  ['allow-oom'],
);
