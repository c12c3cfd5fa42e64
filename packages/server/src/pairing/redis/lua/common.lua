-- Defines the functions that all scripts of pairing share. scripts.ts prepends its constants and this file to each script.
--
-- All keys have the hash tag `{pairing}`, so they are in one slot, on one master of a Redis Cluster:
--
-- pending:<code>       hash: client1, expiresAt, origin, secret1, proved1 ('1' or absent), token1, platform1, holders (ids
--                      of nodes that hold checks); once accepted: client2, roomId, room (the `<id>` of the room)
-- room:<id>            hash: client1, client2, secret1, secret2, proved1, proved2; token1, platform1, pushedAt1 (time of
--                      the last push to the device), and the same for the second device
-- record:<id>          hash, an idempotency record: fingerprint, expiresAt, outcome or the progress of a purge
-- made:<id>            codes that a device has created, by expiry; accepted:<id>: codes that it has accepted
-- rooms:<id>           ids of the rooms of a device, by creation time
-- address:<origin>     codes that an address has created, by expiry
-- guesses:<kind>:<origin>  failed guesses of an address that are not forgiven, and the time of the last one
-- quota:<kind>:<origin>    the time at which a quota of an address is full again
-- failures:<minute>    failed guesses of all addresses in a minute of the clock
-- pendings, records    all pendings and all records, by expiry; rooms: all rooms, by last use
-- imported, moved      notes of rows that were copied from SQLite, and from the layout of an earlier version
-- probe                what the readiness check writes
--
-- `<id>` is a digest, because a room id alone admits to a room, and because device ids must not appear in key names. The
-- node computes the digest of a room or a record; the scripts compute that of a device. `<origin>` is a keyed digest of
-- an address. secret1, secret2 and the arguments `hash`, `hashes` and `proofHash` are digests of secrets.
--
-- Arguments are the fields of one JSON object. All scripts have these:
--
-- now     the current time, in tests. If absent, the clock of Redis applies, which all nodes share.
-- once    the Idempotency-Key, if there is one: id, fingerprint, keptMs (lifetime of the record), maxRecords
-- budget  the budgets in which the request counts, if any: origin, and the limits of `GuessLimits`
-- guess   the rules of `GUESSES`, if the request may be a failed guess
local args, at = cjson.decode(ARGV[1]), KEYS[1]
local now = args.now
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function idOf(text) return string.sub(redis.sha1hex(text), 1, 32) end

local function read(key)
  local list, row = redis.call('HGETALL', key), {}
  for n = 1, #list, 2 do row[list[n]] = list[n + 1] end
  return list[1] and row
end

-- Writes a row of a kind, and adds it to the index of the kind.
local function put(kind, id, row, score)
  local key, values = at .. kind .. ':' .. id, {}
  for field, value in pairs(row) do
    values[#values + 1] = field
    values[#values + 1] = value
  end
  redis.call('DEL', key)
  redis.call('HSET', key, unpack(values))
  if row.expiresAt then redis.call('PEXPIREAT', key, row.expiresAt) end
  redis.call('ZADD', at .. kind .. 's', score or row.expiresAt, id)
end

local function drop(kind, id)
  redis.call('DEL', at .. kind .. ':' .. id)
  redis.call('ZREM', at .. kind .. 's', id)
end

-- The live pending of a code.
local function pendingOf(code)
  local pending = read(at .. 'pending:' .. code)
  if not pending then return nil end
  pending.expiresAt = tonumber(pending.expiresAt)
  return pending.expiresAt > now and pending
end

-- Whether a pending belongs to the device that sends the request, and the request has the right secret. A device that
-- has never sent its secret needs none. Digests are compared directly: the time that this takes reveals nothing.
local function isOwn(pending)
  if not pending or pending.client1 ~= args.client1 then return false end
  if not pending.secret1 then return true end
  if not args.proofHash then return not pending.proved1 end
  return pending.secret1 == args.proofHash
end

-- The lists of codes that contain a pending.
local function listsOf(pending)
  local lists = { at .. 'made:' .. idOf(pending.client1), at .. 'address:' .. pending.origin }
  if pending.client2 then lists[3] = at .. 'accepted:' .. idOf(pending.client2) end
  return lists
end

-- Writes a pending and adds it to its lists; a list expires with its last code.
local function putPending(code, pending)
  put('pending', code, pending)
  for _, list in ipairs(listsOf(pending)) do
    redis.call('ZREMRANGEBYSCORE', list, '-inf', now)
    redis.call('ZADD', list, pending.expiresAt, code)
    redis.call('PEXPIREAT', list, redis.call('ZREVRANGE', list, 0, 0, 'WITHSCORES')[2])
  end
end

local function dropPending(code, pending)
  drop('pending', code)
  for _, list in ipairs(listsOf(pending)) do redis.call('ZREM', list, code) end
end

local function roomOf(id) return read(at .. 'room:' .. id) end

-- The number of a device of a room, as in the names of its fields; nil if it is none of the two.
local function numberOf(room, deviceId)
  if not room then return nil end
  return room.client1 == deviceId and '1' or room.client2 == deviceId and '2' or nil
end

-- Sets the push target of a device. '' stands for none: HDEL would need one more permission of the user in Redis.
local function setPush(id, n, token, platform)
  redis.call('HSET', at .. 'room:' .. id, 'token' .. n, token, 'platform' .. n, platform)
end

local function putRoom(id, room, usedAt)
  put('room', id, room, usedAt)
  redis.call('ZADD', at .. 'rooms:' .. idOf(room.client1), now, id)
  redis.call('ZADD', at .. 'rooms:' .. idOf(room.client2), now, id)
end

local function dropRoom(id, room)
  drop('room', id)
  if not room then return end
  redis.call('ZREM', at .. 'rooms:' .. idOf(room.client1), id)
  redis.call('ZREM', at .. 'rooms:' .. idOf(room.client2), id)
end

-- Whether a pairing may be deleted. args.hashes: a set, each digest with the value true. args.isRequired: whether every
-- deletion needs a secret.
local function mayDelete(pair)
  if args.hashes[pair.secret1] or args.hashes[pair.secret2] then return true end
  return not args.isRequired and not pair.proved1 and not pair.proved2
end

-- The reply to a request: the outcome, '1' if it was counted as a failed guess, then each changed code with its holders.
local reply = { '', '' }

-- Adds a code to the reply, because a check of it may now return another answer; its holders are the nodes to wake.
local function change(code, pending)
  reply[#reply + 1] = code
  reply[#reply + 1] = pending and pending.holders or ''
end

local record = args.once and read(at .. 'record:' .. args.once.id)
if record and tonumber(record.expiresAt) <= now then record = nil end

-- The outcome of an earlier request with this key, if there is one.
local function recalled()
  if not record then return nil end
  if record.fingerprint ~= args.once.fingerprint then return '{"kind":"key_reused"}' end
  return record.outcome
end

local function keep(field, value)
  if not args.once then return end
  local row = { fingerprint = args.once.fingerprint, [field] = value }
  row.expiresAt = record and record.expiresAt or now + args.once.keptMs
  put('record', args.once.id, row)
end

-- The outcome of a request that a budget refuses; it is not kept.
local function limited(cause, seconds) return { kind = 'limited', cause = cause, seconds = seconds }, false end

-- Takes one unit of a quota, as in quota.ts; returns 0, or the seconds to wait if none is left.
local function take(kind, perHour)
  local key = at .. 'quota:' .. kind .. ':' .. args.budget.origin
  local from = tonumber(redis.call('GET', key) or '') or now
  -- A time too far in the future was written before the clock of Redis was set back.
  if from < now or from > now + HOUR_MS + MAX_SKEW_MS then from = now end
  local whole = from + HOUR_MS / perHour
  local wait = whole - HOUR_MS - now
  if wait > 0.5 then return math.max(1, math.ceil(wait / 1000)) end
  redis.call('SET', key, string.format('%.3f', whole), 'PX', math.max(1, math.ceil(whole - now)))
  return 0
end

-- Runs a request that may be a failed guess. Failures follow penalties.ts.
local function guessed(operate)
  local guess, policy, origin = args.guess, args.guess.policy, args.budget.origin
  local key = at .. 'guesses:' .. guess.budget .. ':' .. origin
  local failures, failedAt = string.match(redis.call('GET', key) or '', '(%d+) (%d+)')
  failures, failedAt = tonumber(failures or 0), tonumber(failedAt or now)
  local idle, unforgiven = math.max(0, now - failedAt) / 1000, 0
  -- A time too far in the future, as above.
  if failedAt <= now + MAX_SKEW_MS then
    unforgiven = math.max(0, failures - math.floor(idle / policy.forgiveSeconds))
  end
  if unforgiven > 0 and failures > policy.free then
    local wait = policy.firstWaitSeconds * 2 ^ (failures - policy.free - 1)
    wait = math.min(wait, policy.maxWaitSeconds)
    if wait > idle then return limited('address', math.ceil(wait - idle)) end
  end
  -- An address without failures gets one try, so that guesses from other addresses do not block a correct code.
  local total = at .. 'failures:' .. math.floor(now / 60000)
  local untilNextMinute = 60 - math.floor(now % 60000 / 1000)
  local isBeyond = tonumber(redis.call('GET', total) or 0) >= args.budget.ceiling
  if isBeyond and unforgiven > 0 then return limited('ceiling', untilNextMinute) end
  local outcome, isKept = operate()
  if outcome.kind ~= guess.failure then return outcome, isKept end
  failures = math.min(unforgiven + 1, policy.free + MOST_BEYOND)
  redis.call('SET', key, failures .. ' ' .. now, 'PX', failures * policy.forgiveSeconds * 1000)
  redis.call('INCRBY', total, 1)
  redis.call('PEXPIRE', total, 120000)
  reply[2] = '1'
  -- Beyond the ceiling, the client does not learn that its guess failed.
  if isBeyond then return limited('ceiling', untilNextMinute) end
  return outcome, isKept
end

local function admitted(operate)
  if args.once and not record then
    local live = redis.call('ZCOUNT', at .. 'records', '(' .. now, '+inf')
    if live >= args.once.maxRecords then return { kind = 'full', of = 'idempotency records' }, false end
    local seconds = args.budget and take('keyed', args.budget.keyedPerHour) or 0
    if seconds > 0 then return limited('keyed', seconds) end
  end
  if args.guess then return guessed(operate) end
  return operate()
end

-- Returns the outcome of an earlier request with this key, which counts in no budget. If there is none, runs `operate`,
-- which returns an outcome, and `false` if the outcome is not to be kept.
local function once(operate)
  local known = recalled()
  if known then return { known } end
  local outcome, isKept = admitted(operate)
  reply[1] = cjson.encode(outcome)
  if isKept ~= false then keep('outcome', reply[1]) end
  return reply
end
