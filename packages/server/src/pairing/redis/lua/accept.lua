-- Gives a waiting pending to a second device, and creates the room.
--
-- joinCode, client2; roomId, room: the id of the new room, and its `<id>`
-- collectMs: the creator can collect the room at least for this time
-- secret, hash: the secret for client2; push: its push target, if any
-- limits: `StoreLimits`
if not record and redis.call('ZCARD', at .. 'rooms') >= args.limits.rooms then
  return { '{"kind":"full","of":"rooms"}' }
end
return once(function()
  local pending = pendingOf(args.joinCode)
  if not pending then return { kind = 'not_found_or_expired' } end
  if pending.client1 == args.client2 then return { kind = 'own_code' } end
  if pending.client2 then return { kind = 'conflict' } end
  pending.client2, pending.roomId, pending.room = args.client2, args.roomId, args.room
  local push1, push2 = { token = pending.token1, platform = pending.platform1 }, args.push or {}
  pending.token1, pending.platform1 = nil, nil
  pending.expiresAt = math.max(pending.expiresAt, now + args.collectMs)
  putPending(args.joinCode, pending)
  putRoom(args.room, {
    client1 = pending.client1, client2 = args.client2,
    secret1 = pending.secret1, proved1 = pending.proved1, secret2 = args.hash,
    token1 = push1.token, platform1 = push1.platform, token2 = push2.token, platform2 = push2.platform,
  }, now)
  change(args.joinCode, pending)
  return { kind = 'accepted', roomId = args.roomId, secret = args.secret }
end)
