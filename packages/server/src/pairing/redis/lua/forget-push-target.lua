-- Deletes the push target of a device of a room, unless the device has renewed it since.
--
-- id, deviceId; token, platform: the target
local room = roomOf(args.id)
local n = numberOf(room, args.deviceId)
if n and room['token' .. n] == args.token and room['platform' .. n] == args.platform then
  setPush(args.id, n, '', '')
end
