-- Returns the time of the first request with this key.
return once(function() return { kind = 'first', at = now } end)
