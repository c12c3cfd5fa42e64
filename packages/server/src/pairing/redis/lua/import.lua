-- Writes rows that were copied from SQLite or from an earlier layout; returns how many of them were new.
--
-- kind: that of all rows: room, pending or record
-- rows: each has id, row (its fields), and usedAt if it is a room; a row with a note is written only the first time, so
-- a repeat does not restore what was deleted here since
-- notes: name of the sorted set of notes
local function write(id, row, usedAt)
  if args.kind == 'pending' then
    local known = pendingOf(id)
    if known then
      -- An existing row is replaced only if the copied one is a later accept of the same pending.
      local isSame = known.client1 == row.client1 and known.secret1 == row.secret1
      if not isSame or known.client2 or not row.client2 then return 0 end
      dropPending(id, known)
    end
    row.origin = ''
    putPending(id, row)
  else
    if read(at .. args.kind .. ':' .. id) then return 0 end
    if args.kind == 'room' then putRoom(id, row, usedAt) else put('record', id, row) end
  end
  return 1
end
local written = 0
for _, each in ipairs(args.rows) do
  for field, value in pairs(each.row) do
    if value == cjson.null then each.row[field] = nil end
  end
  -- Without its room, an accepted pending is left for a repeat.
  local isDue = not each.row.room or roomOf(each.row.room)
  if isDue and each.note then isDue = redis.call('ZADD', at .. args.notes, 0, each.note) == 1 end
  if isDue then written = written + write(each.id, each.row, each.usedAt) end
end
return written
