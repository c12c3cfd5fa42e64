-- Returns the push target of a device of a room, at most once in `everyMs`.
--
-- id, deviceId, everyMs
local room = roomOf(args.id)
local n = numberOf(room, args.deviceId)
local token = n and room['token' .. n]
if not token or token == '' then return '{"kind":"no_target"}' end
-- A time too far in the future was written before the clock of Redis was set back.
local pushedAt = tonumber(room['pushedAt' .. n])
if pushedAt and math.abs(now - pushedAt) < args.everyMs then return '{"kind":"too_soon"}' end
redis.call('HSET', at .. 'room:' .. args.id, 'pushedAt' .. n, now)
return cjson.encode({ kind = 'claimed', target = { platform = room['platform' .. n], token = token } })
