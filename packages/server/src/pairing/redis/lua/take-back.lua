-- Deletes a copied row that was deleted at its source, and its note.
--
-- notes, note: as in import.lua
-- id; expiresAt: that of the copied pending, or absent for a room
if args.expiresAt then
  local pending = pendingOf(args.id)
  if pending and pending.expiresAt == tonumber(args.expiresAt) then dropPending(args.id, pending) end
else
  dropRoom(args.id, roomOf(args.id))
end
redis.call('ZREM', at .. args.notes, args.note)
