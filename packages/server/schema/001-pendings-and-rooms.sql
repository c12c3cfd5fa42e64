-- The tables of the published description. Safe on an existing database: nothing is dropped, no row is touched.
-- scripts/init-db.sql is this file.

-- Join codes that wait for a second device.
CREATE TABLE IF NOT EXISTS pendings (
  joinid  TEXT     NOT NULL PRIMARY KEY, -- join code: six digits
  client1 TEXT     NOT NULL,             -- device that created the code
  exp     DATETIME NOT NULL,             -- first instant at which the code no longer works: UTC, ISO 8601, milliseconds
  client2 TEXT                           -- device that accepted the code; NULL while waiting
);
CREATE INDEX IF NOT EXISTS idx_pendings_client1 ON pendings (client1);
CREATE INDEX IF NOT EXISTS idx_pendings_exp ON pendings (exp);

-- Pairs of devices that accepted each other.
CREATE TABLE IF NOT EXISTS rooms (
  roomid  TEXT NOT NULL PRIMARY KEY, -- 48 lowercase hex characters
  client1 TEXT NOT NULL,             -- device that created the code
  client2 TEXT NOT NULL              -- device that accepted it
);
CREATE INDEX IF NOT EXISTS idx_rooms_client1 ON rooms (client1);
CREATE INDEX IF NOT EXISTS idx_rooms_client2 ON rooms (client2);

-- Expired pendings go on every write. datetime() cuts to seconds, so the comparison is strict: a row may stay up to
-- a second too long (queries compare exp to the millisecond and never see it), but never goes too early. The plain
-- comparison before it is implied by the other; it is there because idx_pendings_exp can serve it.
CREATE TRIGGER IF NOT EXISTS pendings_expire_on_insert AFTER INSERT ON pendings
BEGIN
  DELETE FROM pendings
  WHERE exp < strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AND datetime(exp) < datetime('now');
END;
CREATE TRIGGER IF NOT EXISTS pendings_expire_on_update AFTER UPDATE ON pendings
BEGIN
  DELETE FROM pendings
  WHERE exp < strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AND datetime(exp) < datetime('now');
END;
