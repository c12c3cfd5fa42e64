-- Returns the state of a pending to its creator. An accepted pending is deleted.
--
-- joinCode, client1; proofHash: of the secret that the device has sent, if any
-- holder: the id of the node that will hold the check, if any
-- isFinal: whether the outcome `waiting` is the answer of the request
-- nowOfCaller: the caller uses the expiry as a deadline by its own clock

-- The checks of a node beyond this number are not woken early.
local MAX_HOLDERS = 16

return once(function()
  local pending = pendingOf(args.joinCode)
  if not isOwn(pending) then return { kind = 'not_found_or_expired' } end
  local isProved = args.proofHash and pending.secret1
  if not pending.client2 then
    local key = at .. 'pending:' .. args.joinCode
    if isProved and not pending.proved1 then redis.call('HSET', key, 'proved1', '1') end
    if args.holder then
      local holders = { args.holder }
      for id in string.gmatch(pending.holders or '', '%S+') do
        if id ~= args.holder and #holders < MAX_HOLDERS then holders[#holders + 1] = id end
      end
      redis.call('HSET', key, 'holders', table.concat(holders, ' '))
    end
    return { kind = 'waiting', expiresAt = args.nowOfCaller + pending.expiresAt - now }, args.isFinal
  end
  dropPending(args.joinCode, pending)
  local room = at .. 'room:' .. pending.room
  -- The room was deleted or swept before its creator asked for it.
  if not redis.call('HGET', room, 'client1') then return { kind = 'not_found_or_expired' } end
  if isProved then redis.call('HSET', room, 'proved1', '1') end
  return { kind = 'collected', roomId = pending.roomId }
end)
