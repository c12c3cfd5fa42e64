// Defines the Redis scripts of pairing. Each request is one script, and therefore one transaction of its idempotency
// record, its budgets and its effect.
//
// All keys have the hash tag `{pairing}`, so they are in one slot, on one master of a Redis Cluster:
//
// pending:<code>       hash: client1, expiresAt, origin, secret1, proved1, holders (ids of nodes that hold checks);
//                      once accepted: client2, roomId, room (the `<id>` of the room)
// room:<id>            hash: client1, client2, secret1, secret2, proved1, proved2
// record:<id>          hash, an idempotency record: fingerprint, outcome, expiresAt; for an unfinished purge: progress
//                      in place of outcome
// made:<id>            codes that a device has created, by expiry; accepted:<id>: codes that it has accepted
// rooms:<id>           ids of the rooms of a device, by creation time
// address:<origin>     codes that an address has created, by expiry
// guesses:<kind>:<origin>  failed guesses of an address that are not forgiven, and the time of the last one
// quota:<kind>:<origin>    the time at which a quota of an address is full again
// failures:<minute>    failed guesses of all addresses in a minute of the clock
// pendings, records    all pendings and all records, by expiry; rooms: all rooms, by last use. Counts and sweeps use
//                      these three.
//
// `<id>` is a digest, because a room id alone admits to a room, and because device ids must not appear in key names. The
// node computes the digest of a room or a record (`hashOf`); the scripts compute that of a device. `<origin>` is a keyed
// digest of an address.
//
// A script finds most of its keys while it runs, so it cannot declare them. Redis allows that within one slot, but does
// not check such keys during a migration of the slot, when some keys are on one master and some on the other. Each
// script therefore declares two keys that never exist. During a migration, Redis refuses a script with two keys that it
// does not have (TRYAGAIN) before the first line, and pairing requests get 503 until the slot has moved.
import { createHash } from 'node:crypto';
import { MAX_SKEW_MS } from '../../base/clock.js';
import { MOST_BEYOND } from '../../limits/penalties.js';
import { HOUR_MS } from '../../limits/quota.js';
import { defineScript, type Keys, type Script } from '../../redis/client.js';
import { GUESSES, type GuessRequest } from '../guesses.js';

export const keysOf = (prefix: string): Keys => [`${prefix}{pairing}`, `${prefix}{pairing}-`];

/** Digest of an id, for keys: 128 bits. */
export const hashOf = (text: string): string =>
  createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** Arguments of every script. */
const COMMON = [
  /** The current time, in tests; if empty, the clock of Redis applies, which all nodes share. */
  'givenNow',
  /** Digest of the Idempotency-Key, or empty. */
  'recordId',
  'fingerprint',
  /** Lifetime of the record, in milliseconds. */
  'keptMs',
  'maxRecords',
  /** Digest of the address in whose budgets the request counts, or empty. The budgets follow, as in `StoreBudgets`. */
  'charged',
  'createsPerHour',
  'keyedPerHour',
  'ceiling',
] as const;

export type CommonArgument = (typeof COMMON)[number];

/** A script and the names of its arguments, in order. */
export interface Operation<Name extends string> {
  readonly script: Script;
  readonly names: readonly (CommonArgument | Name)[];
}

const PRELUDE = `
-- The reply: the outcome, '1' if it was counted as a failed guess, then each code whose checks to wake with its holders.
local at, changed = KEYS[1], { '', '' }
local now = tonumber(givenNow)
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function idOf(text) return string.sub(redis.sha1hex(text), 1, 32) end

local function read(key, fields)
  local values = redis.call('HMGET', key, unpack(fields))
  if not values[1] then return nil end
  local object = {}
  for n, field in ipairs(fields) do object[field] = values[n] or nil end
  return object
end

local function given(text) return text ~= '' and text or nil end

local function put(key, object)
  local values = {}
  for field, value in pairs(object) do
    values[#values + 1] = field
    values[#values + 1] = value
  end
  redis.call('HSET', key, unpack(values))
end

-- The live pending of a code.
local function pendingOf(code)
  local fields = { 'client1', 'expiresAt', 'origin', 'secret1', 'proved1', 'holders', 'client2', 'roomId', 'room' }
  local pending = read(at .. 'pending:' .. code, fields)
  if not pending then return nil end
  pending.expiresAt = tonumber(pending.expiresAt)
  if pending.expiresAt > now then return pending end
end

local function roomOf(id)
  return read(at .. 'room:' .. id, { 'client1', 'client2', 'secret1', 'secret2', 'proved1', 'proved2' })
end

-- The lists of codes that contain a pending.
local function listsOf(pending)
  local lists = { at .. 'made:' .. idOf(pending.client1), at .. 'address:' .. pending.origin }
  if pending.client2 then lists[3] = at .. 'accepted:' .. idOf(pending.client2) end
  return lists
end

-- The number of live codes in a list, without this one.
local function others(list, code)
  local count = redis.call('ZCOUNT', list, '(' .. string.format('%.0f', now), '+inf')
  local known = redis.call('ZSCORE', list, code)
  return known and tonumber(known) > now and count - 1 or count
end

-- Writes a pending and adds it to its lists; a list expires with its last code.
local function putPending(code, pending)
  local hash = at .. 'pending:' .. code
  redis.call('DEL', hash)
  put(hash, pending)
  redis.call('PEXPIREAT', hash, pending.expiresAt)
  redis.call('ZADD', at .. 'pendings', pending.expiresAt, code)
  for _, key in ipairs(listsOf(pending)) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    redis.call('ZADD', key, pending.expiresAt, code)
    redis.call('PEXPIREAT', key, redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2])
  end
end

local function dropPending(code, pending)
  redis.call('DEL', at .. 'pending:' .. code)
  redis.call('ZREM', at .. 'pendings', code)
  for _, key in ipairs(listsOf(pending)) do redis.call('ZREM', key, code) end
end

local function putRoom(id, room, usedAt)
  put(at .. 'room:' .. id, room)
  redis.call('ZADD', at .. 'rooms', usedAt, id)
  redis.call('ZADD', at .. 'rooms:' .. idOf(room.client1), now, id)
  redis.call('ZADD', at .. 'rooms:' .. idOf(room.client2), now, id)
end

local function dropRoom(id, room)
  redis.call('DEL', at .. 'room:' .. id)
  redis.call('ZREM', at .. 'rooms', id)
  redis.call('ZREM', at .. 'rooms:' .. idOf(room.client1), id)
  redis.call('ZREM', at .. 'rooms:' .. idOf(room.client2), id)
end

-- Adds a code to the reply, because a check of it may now return another answer; its holders are the nodes to wake.
local function change(code, pending)
  changed[#changed + 1] = code
  changed[#changed + 1] = pending and pending.holders or ''
end

-- Whether a request is refused for want of the right secret. A device that has never sent its secret needs none.
-- Digests are compared directly: the time that this takes reveals nothing about a secret.
local function isRefused(pending, proof)
  if not pending.secret1 then return false end
  if proof == '' then return pending.proved1 == '1' end
  return pending.secret1 ~= proof
end

local recordKey = at .. 'record:' .. recordId
local record = recordId ~= '' and read(recordKey, { 'fingerprint', 'outcome', 'expiresAt', 'progress' }) or nil
if record and tonumber(record.expiresAt) <= now then record = nil end

local function keep(field, value)
  if recordId == '' then return end
  local expiresAt = record and record.expiresAt or now + tonumber(keptMs)
  redis.call('DEL', recordKey)
  redis.call('HSET', recordKey, 'fingerprint', fingerprint, field, value, 'expiresAt', expiresAt)
  redis.call('PEXPIREAT', recordKey, expiresAt)
  redis.call('ZADD', at .. 'records', expiresAt, recordId)
end

local function isFull()
  if recordId == '' or record then return false end
  local index, most = at .. 'records', tonumber(maxRecords) or math.huge
  if redis.call('ZCARD', index) < most then return false end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  return redis.call('ZCARD', index) >= most
end
`;

/**
 * Runs a request around `operate`, which returns an outcome, and `false` if the outcome is not to be kept. `guess` holds
 * the rules of a request that may be a failed guess, or nil. Quotas and failures follow quota.ts and penalties.ts.
 */
const ONCE = `
-- A repeat is not counted in any budget.
if record and record.fingerprint ~= fingerprint then return { '{"kind":"key_reused"}' } end
if record and record.outcome then return { record.outcome } end
if isFull() then return { '{"kind":"full","of":"idempotency records"}' } end
if guess and guess.request == 'accept' and redis.call('ZCARD', at .. 'rooms') >= tonumber(maxRooms) then
  return { '{"kind":"full","of":"rooms"}' }
end

local function limited(cause, seconds)
  return { cjson.encode({ kind = 'limited', cause = cause, seconds = seconds }) }
end

-- Takes one unit of a quota; returns 0, or the seconds to wait if none is left.
local function take(kind, perHour)
  local key, interval = at .. 'quota:' .. kind .. ':' .. charged, ${HOUR_MS} / tonumber(perHour)
  local from = tonumber(redis.call('GET', key) or '') or now
  -- A time too far in the future was written before the clock of Redis was set back.
  if from < now or from > now + ${HOUR_MS + MAX_SKEW_MS} then from = now end
  local whole = from + interval
  local wait = whole - ${HOUR_MS} - now
  if wait > 0.5 then return math.max(1, math.ceil(wait / 1000)) end
  redis.call('SET', key, string.format('%.3f', whole), 'PX', math.max(1, math.ceil(whole - now)))
  return 0
end

if charged == '' then
  guess = nil
elseif recordId ~= '' and not record then
  local seconds = take('keyed', keyedPerHour)
  if seconds > 0 then return limited('keyed', seconds) end
end

local unforgiven, isBeyond, guesses, total = 0, false, nil, at .. 'failures:' .. math.floor(now / 60000)
local untilNextMinute = 60 - math.floor(now % 60000 / 1000)
if guess then
  guesses = at .. 'guesses:' .. guess.budget .. ':' .. charged
  local failures, failedAt = string.match(redis.call('GET', guesses) or '', '(%d+) (%d+)')
  failures, failedAt = tonumber(failures or 0), tonumber(failedAt or now)
  local idle = math.max(0, now - failedAt) / 1000
  -- A time too far in the future, as above.
  if failedAt <= now + ${MAX_SKEW_MS} then
    unforgiven = math.max(0, failures - math.floor(idle / guess.forgiveSeconds))
  end
  if unforgiven > 0 and failures > guess.free then
    local wait = math.min(guess.firstWaitSeconds * 2 ^ (failures - guess.free - 1), guess.maxWaitSeconds)
    if wait > idle then return limited('address', math.ceil(wait - idle)) end
  end
  -- An address without failures gets one try, so that guesses from other addresses do not block a correct code.
  isBeyond = tonumber(redis.call('GET', total) or 0) >= tonumber(ceiling)
  if isBeyond and unforgiven > 0 then return limited('ceiling', untilNextMinute) end
  local seconds = guess.request == 'create' and take('create', createsPerHour) or 0
  if seconds > 0 then return limited('address', seconds) end
end

local outcome, isKept = operate()
changed[1] = cjson.encode(outcome)
if guess and outcome.kind == guess.failure then
  local failures = math.min(unforgiven + 1, guess.free + ${MOST_BEYOND})
  local state = string.format('%.0f %.0f', failures, now)
  redis.call('SET', guesses, state, 'PX', failures * guess.forgiveSeconds * 1000)
  redis.call('INCRBY', total, 1)
  redis.call('PEXPIRE', total, 120000)
  changed[2] = '1'
  -- Beyond the ceiling, the client does not learn that its guess failed.
  if isBeyond then changed[1], isKept = limited('ceiling', untilNextMinute)[1], false end
end
if isKept ~= false then keep('outcome', changed[1]) end
return changed`;

function define<const Name extends string>(
  name: string,
  own: readonly Name[],
  lua: string,
  flags: Parameters<typeof defineScript>[2] = [],
): Operation<Name> {
  const names = [...COMMON, ...own];
  const locals = names.map((argument, n) => `local ${argument} = ARGV[${n + 1}]`).join('\n');
  return { names, script: defineScript(name, `${locals}${PRELUDE}${lua}`, flags) };
}

/** The rules of a request that may be a failed guess, for Lua. */
function rulesOf(request: GuessRequest): string {
  const { budget, failure, policy } = GUESSES[request];
  const numbers = Object.entries(policy).map(([field, value]) => `${field} = ${value}`);
  return `{ request = '${request}', budget = '${budget}', failure = '${failure}', ${numbers.join(', ')} }`;
}

function defineOnce<const Name extends string>(
  name: string,
  own: readonly Name[],
  lua: string,
  flags: Parameters<typeof defineScript>[2] = [],
  guess?: GuessRequest,
): Operation<Name> {
  const head = `local guess = ${guess === undefined ? 'nil' : rulesOf(guess)}`;
  return define(name, own, `${head}\nlocal function operate()${lua}end\n${ONCE}`, flags);
}

/** Digests of secrets are named after the secret. */
export const CREATE = defineOnce(
  'pairing-create',
  [
    'joinCode',
    'client1',
    'lifeMs',
    'origin',
    'secret',
    'hash',
    'proof',
    'proofHash',
    'perDevice',
    'perAddress',
  ],
  `
  local made = at .. 'made:' .. idOf(client1)
  if others(made, joinCode) >= tonumber(perDevice)
    or others(at .. 'address:' .. origin, joinCode) >= tonumber(perAddress) then
    return { kind = 'too_many' }
  end
  local old = pendingOf(joinCode)
  local isRenewed = false
  if old then
    if old.client1 ~= client1 or old.client2 or isRefused(old, proofHash) then
      return { kind = 'conflict' }
    end
    -- The device keeps its secret, because the answer to this request may get lost too.
    isRenewed = proofHash ~= '' and old.secret1 ~= nil
    dropPending(joinCode, old)
  end
  local pending = { client1 = client1, origin = origin, expiresAt = now + tonumber(lifeMs), secret1 = hash }
  if isRenewed then pending.secret1, pending.proved1 = proofHash, '1' end
  putPending(joinCode, pending)
  change(joinCode, old)
  return { kind = 'created', expiresAt = pending.expiresAt, secret = isRenewed and proof or secret }
`,
  [],
  'create',
);

export const ACCEPT = defineOnce(
  'pairing-accept',
  ['joinCode', 'client2', 'roomId', 'room', 'collectMs', 'secret', 'hash', 'maxRooms'],
  `
  local pending = pendingOf(joinCode)
  if not pending then return { kind = 'not_found_or_expired' } end
  if pending.client1 == client2 then return { kind = 'own_code' } end
  if pending.client2 then return { kind = 'conflict' } end
  pending.client2, pending.roomId, pending.room = client2, roomId, room
  pending.expiresAt = math.max(pending.expiresAt, now + tonumber(collectMs))
  putPending(joinCode, pending)
  putRoom(room, {
    client1 = pending.client1, client2 = client2,
    secret1 = pending.secret1, proved1 = pending.proved1, secret2 = hash,
  }, now)
  change(joinCode, pending)
  return { kind = 'accepted', roomId = roomId, secret = secret }
`,
  [],
  'accept',
);

/** Maximum of nodes that a pending lists as holders of checks. The checks of a node beyond it are not woken early. */
const MAX_HOLDERS = 16;

/** `holder`: the node that will hold the check, or empty. `waiting` returns the remaining lifetime of the code. */
export const CHECK = defineOnce(
  'pairing-check',
  ['joinCode', 'client1', 'holder', 'isFinal', 'proofHash'],
  `
  local missing = { kind = 'not_found_or_expired' }
  local pending = pendingOf(joinCode)
  if not pending or pending.client1 ~= client1 or isRefused(pending, proofHash) then return missing end
  local isProved = proofHash ~= '' and pending.secret1 ~= nil
  if not pending.client2 then
    local key = at .. 'pending:' .. joinCode
    if isProved and pending.proved1 ~= '1' then redis.call('HSET', key, 'proved1', '1') end
    if holder ~= '' then
      local holders = {}
      for id in string.gmatch(pending.holders or '', '%S+') do
        if id ~= holder then holders[#holders + 1] = id end
      end
      if #holders >= ${MAX_HOLDERS} then table.remove(holders, 1) end
      holders[#holders + 1] = holder
      redis.call('HSET', key, 'holders', table.concat(holders, ' '))
    end
    return { kind = 'waiting', leftMs = pending.expiresAt - now }, isFinal == '1'
  end
  dropPending(joinCode, pending)
  -- The room was deleted or swept before its creator asked for it.
  local room = at .. 'room:' .. pending.room
  if not redis.call('HGET', room, 'client1') then return missing end
  if isProved then redis.call('HSET', room, 'proved1', '1') end
  return { kind = 'collected', roomId = pending.roomId }
`,
  ['allow-oom'],
  'check',
);

export const CANCEL = defineOnce(
  'pairing-cancel',
  ['joinCode', 'client1', 'proofHash'],
  `
  local pending = pendingOf(joinCode)
  if pending and pending.client1 == client1 and not pending.client2
    and not isRefused(pending, proofHash) then
    dropPending(joinCode, pending)
    change(joinCode, pending)
  end
  return { kind = 'cancelled' }
`,
  ['allow-oom'],
);

/**
 * After the named arguments come \`devices\` device ids, then digests of secrets. A purge of more than \`maxRows\` rooms
 * returns \`purging\`: the next call continues from \`progress\`, which includes the counts and is kept in the record.
 */
export const PURGE = defineOnce(
  'pairing-purge',
  ['devices', 'isRequired', 'maxRows', 'givenProgress'],
  `
  local first, hashes, position = ${COMMON.length} + 4, {}, {}
  devices = tonumber(devices)
  for n = 1, devices do
    local id = ARGV[first + n]
    position[id] = position[id] or n
  end
  for n = first + devices + 1, #ARGV do hashes[ARGV[n]] = true end

  local function isAllowed(one, other)
    if hashes[one.secret1] or hashes[other.secret2] then return true end
    return isRequired ~= '1' and one.proved1 ~= '1' and other.proved1 ~= '1' and other.proved2 ~= '1'
  end
  -- A kept row that belongs to two of the devices is counted only with the first of them.
  local function isCounted(row, n)
    return math.min(position[row.client1] or n, row.client2 and position[row.client2] or n) == n
  end

  -- The device to continue with, the number of its rooms that were kept so far, and the counts.
  local words = {}
  for word in string.gmatch(record and record.progress or givenProgress, '%d+') do
    words[#words + 1] = tonumber(word)
  end
  local start, skipped, roomsDeleted, pendingsDeleted, roomsKept, pendingsKept = unpack(words)
  local left = tonumber(maxRows)
  local function pause(n, kept)
    local progress = table.concat({ n, kept, roomsDeleted, pendingsDeleted, roomsKept, pendingsKept }, ' ')
    keep('progress', progress)
    return { kind = 'purging', progress = progress }, false
  end

  for n = start, devices do
    local device = ARGV[first + n]
    local id = idOf(device)
    if position[device] == n then
      -- Pendings first, because their rooms decide whether they may be deleted.
      for _, name in ipairs(skipped == 0 and { 'made:', 'accepted:' } or {}) do
        for _, code in ipairs(redis.call('ZRANGE', at .. name .. id, 0, -1)) do
          local pending = pendingOf(code)
          if pending and (pending.client1 == device or pending.client2 == device) then
            local room = pending.room and roomOf(pending.room) or {}
            if isAllowed({ secret1 = pending.secret1, proved1 = pending.proved1 }, room) then
              dropPending(code, pending)
              change(code, pending)
              pendingsDeleted = pendingsDeleted + 1
            elseif isCounted(pending, n) then
              pendingsKept = pendingsKept + 1
            end
          end
        end
      end
      while true do
        local rooms = redis.call('ZRANGE', at .. 'rooms:' .. id, skipped, skipped + 99)
        for _, roomId in ipairs(rooms) do
          local room = roomOf(roomId)
          if room and (room.client1 == device or room.client2 == device) and isAllowed(room, room) then
            dropRoom(roomId, room)
            roomsDeleted = roomsDeleted + 1
          else
            skipped = skipped + 1
            if room and isCounted(room, n) then roomsKept = roomsKept + 1 end
          end
        end
        left = left - #rooms
        if #rooms < 100 then break end
        if left <= 0 then return pause(n, skipped) end
      end
      left = left - 1
    end
    skipped = 0
    if left <= 0 and n < devices then return pause(n + 1, 0) end
  end
  return {
    kind = 'purged', roomsDeleted = roomsDeleted, pendingsDeleted = pendingsDeleted,
    roomsKept = roomsKept, pendingsKept = pendingsKept,
  }
`,
  ['allow-oom'],
);

export const FIRST_TIME = defineOnce(
  'pairing-first-time',
  [],
  `
  return { kind = 'first', at = now }
`,
  ['allow-oom'],
);

/** Returns the outcome of an earlier request, or nothing. Allocates no memory, so it also works on a full Redis. */
export const REPEAT = define(
  'pairing-repeat',
  [],
  `
if not record then return false end
if record.fingerprint ~= fingerprint then return '{"kind":"key_reused"}' end
return record.outcome or false`,
  ['no-writes'],
);

/** Returns the failed guesses of this minute. */
export const FAILURES = define(
  'pairing-failures',
  [],
  `
return tonumber(redis.call('GET', at .. 'failures:' .. math.floor(now / 60000)) or 0)`,
  ['no-writes'],
);

/** Returns the fields of a room. Its use is recorded at most once per \`noteMs\`, and never if that is 0. */
export const FIND_ROOM = define(
  'pairing-find-room',
  ['id', 'noteMs'],
  `
local room = roomOf(id)
if not room then return false end
if tonumber(noteMs) > 0 and now - tonumber(redis.call('ZSCORE', at .. 'rooms', id) or 0) > tonumber(noteMs) then
  redis.call('ZADD', at .. 'rooms', now, id)
end
return { room.client1, room.client2, room.secret1 or '', room.secret2 or '', room.proved1 or '', room.proved2 or '' }`,
  ['allow-oom'],
);

export const PROVE = define(
  'pairing-prove',
  ['id', 'deviceId'],
  `
local room = roomOf(id)
if not room then return 0 end
local n = room.client1 == deviceId and '1' or '2'
if room['secret' .. n] and room['proved' .. n] ~= '1' then
  redis.call('HSET', at .. 'room:' .. id, 'proved' .. n, '1')
end
return 1`,
  ['allow-oom'],
);

/** After the named arguments come digests of secrets. A secret that belongs to neither device is refused. */
export const DELETE_ROOM = define(
  'pairing-delete-room',
  ['id', 'isRequired'],
  `
local room = roomOf(id)
if not room then return 'absent' end
local first = ${COMMON.length} + 2
local isProof, isSent = false, #ARGV > first
for n = first + 1, #ARGV do
  isProof = isProof or ARGV[n] == room.secret1 or ARGV[n] == room.secret2
end
local isWrong = isSent and (room.secret1 or room.secret2)
local needsProof = isRequired == '1' or room.proved1 == '1' or room.proved2 == '1'
if not isProof and (isWrong or needsProof) then return 'forbidden' end
dropRoom(id, room)
return 'deleted'`,
  ['allow-oom'],
);

/** Returns how many pendings, records and rooms were read, at most \`portion\` of each, and how many rooms were deleted. */
export const SWEEP = define(
  'pairing-sweep',
  ['roomIdleMs', 'portion'],
  `
local function upTo(index, score)
  return redis.call('ZRANGEBYSCORE', at .. index, '-inf', score, 'LIMIT', 0, portion)
end
local codes = upTo('pendings', now)
for _, code in ipairs(codes) do
  -- Redis has already expired the key, unless a test gives the time. Later writes remove it from the lists.
  redis.call('DEL', at .. 'pending:' .. code)
  redis.call('ZREM', at .. 'pendings', code)
end
local records = upTo('records', now)
for _, id in ipairs(records) do redis.call('ZREM', at .. 'records', id) end
local rooms, swept = {}, 0
if tonumber(roomIdleMs) > 0 then
  rooms = upTo('rooms', '(' .. string.format('%.0f', now - tonumber(roomIdleMs)))
  for _, id in ipairs(rooms) do
    local room = roomOf(id)
    if room then
      dropRoom(id, room)
      swept = swept + 1
    else
      redis.call('ZREM', at .. 'rooms', id)
    end
  end
end
return { #codes, #records, #rooms, swept }`,
  ['allow-oom'],
);

export const COUNT = define(
  'pairing-count',
  [],
  `
return { redis.call('ZCARD', at .. 'pendings'), redis.call('ZCARD', at .. 'rooms'), redis.call('ZCARD', at .. 'records') }`,
  ['no-writes'],
);

/** Overwrites one key, which needs no memory after the first time: a full Redis does not make the node unready. */
export const PROBE = define(
  'pairing-probe',
  [],
  `
redis.call('SET', at .. 'probe', now, 'PX', 60000)
return 1`,
  ['allow-oom'],
);

/** Writes an imported room; returns 1 if there was no room with this id. */
export const PUT_ROOM = define(
  'pairing-put-room',
  ['id', 'client1', 'client2', 'secret1', 'secret2', 'proved1', 'proved2', 'unusedMs'],
  `
if roomOf(id) then return 0 end
putRoom(id, {
  client1 = client1, client2 = client2,
  secret1 = given(secret1), secret2 = given(secret2), proved1 = given(proved1), proved2 = given(proved2),
}, now - tonumber(unusedMs))
return 1`,
);

/** Writes an imported pending. Returns 0 if the code is live, unless the import accepts the same waiting pending. */
export const PUT_PENDING = define(
  'pairing-put-pending',
  ['joinCode', 'client1', 'expiresAt', 'client2', 'roomId', 'room', 'secret1', 'proved1'],
  `
local known = pendingOf(joinCode)
if known then
  local isSame = known.client1 == client1 and (known.secret1 or '') == secret1
  if not isSame or known.client2 or client2 == '' then return 0 end
  dropPending(joinCode, known)
end
putPending(joinCode, {
  client1 = client1, origin = '', expiresAt = expiresAt, client2 = given(client2), roomId = given(roomId),
  room = given(room), secret1 = given(secret1), proved1 = given(proved1),
})
return 1`,
);

/** Writes an imported idempotency record; returns 1 if there was none. */
export const PUT_RECORD = define(
  'pairing-put-record',
  ['outcome'],
  `
if record then return 0 end
keep('outcome', outcome)
return 1`,
);

/** Deletes a copied room, or a copied pending if it still has this expiry. */
export const TAKE_BACK = define(
  'pairing-take-back',
  ['id', 'expiresAt'],
  `
if expiresAt == '' then
  local room = roomOf(id)
  if room then dropRoom(id, room) end
else
  local pending = pendingOf(id)
  if pending and pending.expiresAt == tonumber(expiresAt) then dropPending(id, pending) end
end
return 1`,
  ['allow-oom'],
);
