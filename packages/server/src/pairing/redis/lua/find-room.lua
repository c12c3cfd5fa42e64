-- Returns a room as JSON, or nothing.
--
-- id; noteMs: record the use of the room at most once in this time, and never if it is 0
local room = roomOf(args.id)
if not room then return nil end
local index = at .. 'rooms'
if args.noteMs > 0 and now - tonumber(redis.call('ZSCORE', index, args.id) or 0) > args.noteMs then
  redis.call('ZADD', index, now, args.id)
end
local function secretOf(n)
  local hash = room['secret' .. n]
  return hash and { hash = hash, isProved = room['proved' .. n] ~= nil }
end
return cjson.encode({
  client1 = room.client1, client2 = room.client2, secret1 = secretOf(1), secret2 = secretOf(2),
})
