-- Deletes copied rows that were deleted at their source, and their notes.
--
-- notes: as in import.lua; gone: the notes of the rows, as in migrate-layout.ts
for _, note in ipairs(args.gone) do
  local id, expiresAt = string.match(note, '}(%S+) ?(%S*)')
  local pending = pendingOf(id)
  if expiresAt == '' then dropRoom(id, roomOf(id)) end
  if pending and pending.expiresAt == tonumber(expiresAt) then dropPending(id, pending) end
  redis.call('ZREM', at .. args.notes, note)
end
