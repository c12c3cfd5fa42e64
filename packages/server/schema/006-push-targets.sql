-- With what a device that is not connected can be woken. The server skips a column that the table already has: the push
-- branch of the original server has added some of them, and their tokens are kept.

ALTER TABLE pendings ADD COLUMN client1_token TEXT; -- push token of client1; NULL: none, or it has moved to the room
ALTER TABLE pendings ADD COLUMN platform TEXT;      -- of client1_token: ios, android or web

ALTER TABLE rooms ADD COLUMN client1_token TEXT;
ALTER TABLE rooms ADD COLUMN client1_platform TEXT;
ALTER TABLE rooms ADD COLUMN client2_token TEXT;
ALTER TABLE rooms ADD COLUMN client2_platform TEXT;

-- Time of the last push to the device: UTC, ISO 8601, milliseconds; NULL: none.
ALTER TABLE rooms ADD COLUMN client1_pushed_at DATETIME;
ALTER TABLE rooms ADD COLUMN client2_pushed_at DATETIME;

-- That branch stored an empty token for none, and at first no platform, because it only woke iOS.
UPDATE pendings
SET client1_token = nullif(client1_token, ''), platform = iif(platform IN ('android', 'web'), platform, 'ios')
WHERE client1_token IS NOT NULL;
UPDATE rooms
SET client1_token = nullif(client1_token, ''), client2_token = nullif(client2_token, ''),
    client1_platform = iif(client1_platform IN ('android', 'web'), client1_platform, 'ios'),
    client2_platform = iif(client2_platform IN ('android', 'web'), client2_platform, 'ios')
WHERE client1_token IS NOT NULL OR client2_token IS NOT NULL;
