-- Deletes a room.
--
-- id; hashes, isRequired: see mayDelete
local room = roomOf(args.id)
if not room then return 'absent' end
-- If the room has secrets, a secret of neither device is always refused.
if next(args.hashes) and (room.secret1 or room.secret2) then args.isRequired = true end
if not mayDelete(room) then return 'forbidden' end
dropRoom(args.id, room)
return 'deleted'
