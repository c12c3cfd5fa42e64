-- Renews the push target of a device of a room.
--
-- id, deviceId; token, platform: the target; absent: delete the one that is stored
return once(function()
  local n = numberOf(roomOf(args.id), args.deviceId)
  if not n then return { kind = 'not_paired' } end
  setPush(args.id, n, args.token or '', args.platform or '')
  return { kind = 'set' }
end)
