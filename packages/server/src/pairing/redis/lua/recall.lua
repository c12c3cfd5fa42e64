-- Returns the outcome of an earlier request with this key, or nothing. Needs no memory, so it works on a full Redis.
return { recalled() }
