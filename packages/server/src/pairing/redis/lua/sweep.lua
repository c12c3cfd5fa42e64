-- Deletes expired rows and idle rooms; returns the numbers of pendings, records and rooms.
--
-- roomIdleMs: delete rooms that were not used for this time; 0 keeps them
-- portion: delete at most this many of each
local function upTo(index, score)
  return redis.call('ZRANGEBYSCORE', at .. index, '-inf', score, 'LIMIT', 0, args.portion)
end
local codes, records = upTo('pendings', now), upTo('records', now)
local rooms = args.roomIdleMs > 0 and upTo('rooms', '(' .. now - args.roomIdleMs) or {}
-- Later writes remove the codes from the lists of their devices.
for _, code in ipairs(codes) do drop('pending', code) end
for _, id in ipairs(records) do drop('record', id) end
for _, id in ipairs(rooms) do dropRoom(id, roomOf(id)) end
return { #codes, #records, #rooms }
