-- Deletes a pending that no device has accepted.
--
-- joinCode, client1; proofHash: of the secret that the device has sent, if any
return once(function()
  local pending = pendingOf(args.joinCode)
  if isOwn(pending) and not pending.client2 then
    dropPending(args.joinCode, pending)
    change(args.joinCode, pending)
  end
  return { kind = 'cancelled' }
end)
