-- Creates a pending, or renews a waiting one of the same device.
--
-- joinCode, client1; lifeMs: its lifetime; origin: the address that creates it
-- push: the push target of the device, if any
-- secret, hash: the secret for the device; proof, proofHash: the secret that the device has sent, if any
-- limits: `StoreLimits`
return once(function()
  local seconds = args.guess and take('create', args.budget.createsPerHour) or 0
  if seconds > 0 then return limited('address', seconds) end
  local old = pendingOf(args.joinCode)
  -- Whether a list has the maximum of live codes, without this one.
  local function isFull(list, max, hasOld)
    return redis.call('ZCOUNT', at .. list, '(' .. now, '+inf') - (hasOld and 1 or 0) >= max
  end
  local max = args.limits
  if isFull('made:' .. idOf(args.client1), max.pendingsPerDevice, old and old.client1 == args.client1)
    or isFull('address:' .. args.origin, max.pendingsPerAddress, old and old.origin == args.origin) then
    return { kind = 'too_many' }
  end
  if old and (old.client2 or not isOwn(old)) then return { kind = 'conflict' } end
  if old then dropPending(args.joinCode, old) end
  local pending = { client1 = args.client1, origin = args.origin, expiresAt = now + args.lifeMs, secret1 = args.hash }
  if args.push then pending.token1, pending.platform1 = args.push.token, args.push.platform end
  local secret = args.secret
  if old and old.secret1 and args.proof then
    -- The device keeps its secret, because the answer to this request may be lost too.
    pending.secret1, pending.proved1, secret = args.proofHash, '1', args.proof
  end
  putPending(args.joinCode, pending)
  change(args.joinCode, old)
  return { kind = 'created', expiresAt = pending.expiresAt, secret = secret }
end)
