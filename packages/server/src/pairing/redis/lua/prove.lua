-- Marks a device of a room as proved; returns 1 if the room exists.
--
-- id, deviceId
local room = roomOf(args.id)
if not room then return 0 end
local n = numberOf(room, args.deviceId)
if n and room['secret' .. n] then redis.call('HSET', at .. 'room:' .. args.id, 'proved' .. n, '1') end
return 1
