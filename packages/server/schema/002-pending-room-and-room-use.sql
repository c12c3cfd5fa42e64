-- A pending names its own room, a room knows when it was last asked for, and the database is marked as ours.

-- Triggers of the original server. They compare with <= after datetime() has cut to seconds, and so delete a code up
-- to a second before its time.
DROP TRIGGER IF EXISTS cleanup_expired_on_insert;
DROP TRIGGER IF EXISTS cleanup_expired_on_update;

-- Room made by accepting this pending; NULL while waiting. Without it a check could only look for a room of the same
-- two devices, and would find an older pairing of theirs.
ALTER TABLE pendings ADD COLUMN roomid TEXT;
UPDATE pendings SET roomid = (
  SELECT roomid FROM rooms
  WHERE rooms.client1 = pendings.client1 AND rooms.client2 = pendings.client2
  ORDER BY rooms.rowid DESC LIMIT 1
) WHERE client2 IS NOT NULL;

-- A purge looks for the accepting device too.
CREATE INDEX IF NOT EXISTS idx_pendings_client2 ON pendings (client2) WHERE client2 IS NOT NULL;

-- Codes written in another ISO 8601 form by hand or by an old script: from here on their order as text is their order
-- in time.
UPDATE pendings SET exp = strftime('%Y-%m-%dT%H:%M:%fZ', exp) WHERE strftime('%Y-%m-%dT%H:%M:%fZ', exp) IS NOT NULL;

-- Day on which the room was last asked for: UTC, ISO 8601. Read only where ROOM_IDLE_DAYS is set; NULL: not since
-- the upgrade.
ALTER TABLE rooms ADD COLUMN used_at DATETIME;

-- "Cplt": makes the file known to us, and to file(1).
PRAGMA application_id = 1131441268;
