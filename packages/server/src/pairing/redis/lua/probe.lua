-- Overwrites one key, which needs no memory after the first time: a full Redis does not make the node unready.
redis.call('SET', at .. 'probe', now, 'PX', 60000)
