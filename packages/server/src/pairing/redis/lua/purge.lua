-- Deletes the rooms and pendings of devices. After `maxRows` devices and rooms it returns `purging`, and the next call
-- continues from there.
--
-- deviceIds: each only once; hashes, isRequired: see mayDelete
-- progress: that of the previous call, if the request has no record to keep it in
local progress = record and record.progress and cjson.decode(record.progress) or args.progress or {
  device = 1, -- the current one; `skipped`, after its pendings: the number of its rooms that were kept so far
  purged = { kind = 'purged', roomsDeleted = 0, pendingsDeleted = 0, roomsKept = 0, pendingsKept = 0 },
}
local purged, left, position = progress.purged, args.maxRows, {}
for n, id in ipairs(args.deviceIds) do position[id] = n end

-- Counts a row, and returns whether it may be deleted. A kept row of two of the devices counts only with the first.
local function judge(what, row, pair, n)
  local isDeleted = mayDelete(pair)
  local name = what .. (isDeleted and 'Deleted' or 'Kept')
  if isDeleted or math.min(position[row.client1] or n, position[row.client2] or n) == n then
    purged[name] = purged[name] + 1
  end
  return isDeleted
end

local function purgePendings(list, device, n)
  for _, code in ipairs(redis.call('ZRANGE', at .. list .. idOf(device), 0, -1)) do
    local pending = pendingOf(code)
    -- The code may be that of another device by now.
    if pending and (pending.client1 == device or pending.client2 == device) then
      local room = pending.room and roomOf(pending.room)
      if judge('pendings', pending, room or pending, n) then
        dropPending(code, pending)
        change(code, pending)
      end
    end
  end
end

return once(function()
  for n = progress.device, #args.deviceIds do
    local device = args.deviceIds[n]
    if not progress.skipped then
      -- Before the rooms, because they decide whether the pendings may be deleted.
      purgePendings('made:', device, n)
      purgePendings('accepted:', device, n)
      progress.skipped = 0
    end
    local first = progress.skipped
    local rooms = redis.call('ZRANGE', at .. 'rooms:' .. idOf(device), first, first + left)
    for _, roomId in ipairs(rooms) do
      local room = roomOf(roomId)
      if room and judge('rooms', room, room, n) then
        dropRoom(roomId, room)
      else
        progress.skipped = progress.skipped + 1
      end
    end
    left = left - #rooms - 1
    if left < 0 then
      progress.device = n
      keep('progress', cjson.encode(progress))
      return { kind = 'purging', progress = progress }, false
    end
    progress.skipped = nil
  end
  return purged
end)
