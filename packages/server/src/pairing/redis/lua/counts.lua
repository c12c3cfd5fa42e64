-- Returns the numbers of pendings, rooms and records, and of failed guesses in this minute.
return {
  redis.call('ZCARD', at .. 'pendings'), redis.call('ZCARD', at .. 'rooms'), redis.call('ZCARD', at .. 'records'),
  tonumber(redis.call('GET', at .. 'failures:' .. math.floor(now / 60000)) or 0),
}
